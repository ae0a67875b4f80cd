from .app import create_app
from .library import Library, Model
from .local_socket import ServerAnswer, ask_server
from .mcp_server import create_mcp, serve_mcp
from .options import ServerOptions
from .run import Server, serve

__all__ = [
    "Library",
    "Model",
    "Server",
    "ServerAnswer",
    "ServerOptions",
    "ask_server",
    "create_app",
    "create_mcp",
    "serve",
    "serve_mcp",
]
