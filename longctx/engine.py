"""Generation: token ids in, text out, piece by piece. Knows tokens and a model; knows no documents and no index."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from threading import Event, Thread
from typing import Any

from longctx.models import LoadedModel


class Engine:
    """Generates greedily with one model. `completion_tokens` counts the tokens of the last answer."""

    def __init__(self, loaded: LoadedModel) -> None:
        self.loaded = loaded
        self.completion_tokens = 0

    def stream(self, prompt_ids: Sequence[int], max_new_tokens: int) -> Iterator[str]:
        """The text that follows the prompt, in pieces, as it is generated.

        A consumer that stops early stops the generation. An error inside it is raised here.
        """
        import torch
        from transformers import GenerationConfig, StoppingCriteriaList, TextIteratorStreamer

        model, tokenizer = self.loaded.model, self.loaded.tokenizer
        streamer = TextIteratorStreamer(tokenizer, skip_prompt=True, skip_special_tokens=True)
        cancelled, failure = Event(), list[BaseException]()
        ids = torch.tensor([list(prompt_ids)], device=model.device)
        config = GenerationConfig.from_model_config(model.config) if model.generation_config is None else None

        def stop(input_ids: Any, scores: Any, **_: Any) -> Any:
            return torch.full((input_ids.shape[0],), cancelled.is_set(), device=input_ids.device)

        def generate() -> None:
            try:
                with torch.inference_mode():
                    output = model.generate(
                        ids,
                        attention_mask=torch.ones_like(ids),
                        generation_config=config,
                        max_new_tokens=max_new_tokens,
                        do_sample=False,
                        pad_token_id=tokenizer.pad_token_id or 0,
                        stopping_criteria=StoppingCriteriaList([stop]),
                        streamer=streamer,
                    )
                self.completion_tokens = output.shape[1] - ids.shape[1]
            except BaseException as error:
                failure.append(error)
                streamer.end()

        worker = Thread(target=generate, name="longctx-generate", daemon=True)
        worker.start()
        try:
            yield from (piece for piece in streamer if piece)
        finally:
            cancelled.set()
            worker.join()
        if failure:
            raise failure[0]
