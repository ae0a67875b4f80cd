from .mapped_answer import answer_with_model

__all__ = ["answer_with_model"]
