"""A model on a server that speaks OpenAI's protocol: vLLM, llama.cpp and others."""
