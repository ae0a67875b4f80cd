"""The tags that thinking models write around their thoughts and their answers."""

from __future__ import annotations

import re

END = "<|end|>"
# (what opens the thoughts, what closes them), in the spelling of each family
TAGS = (
    ("<think>", "</think>"),  # DeepSeek, Qwen, GLM, MiniMax, Phi, Nemotron, SmolLM and most others
    ("<thinking>", "</thinking>"),
    ("<thought>", "</thought>"),  # EXAONE
    ("<analysis>", "</analysis>"),
    ("<reasoning>", "</reasoning>"),
    ("<seed:think>", "</seed:think>"),  # Seed-OSS
    ("[THINK]", "[/THINK]"),  # Magistral, Ministral
    ("◁think▷", "◁/think▷"),  # Kimi
    ("<|START_THINKING|>", "<|END_THINKING|>"),  # Command A
    ("<|begin_of_thought|>", "<|end_of_thought|>"),  # Sky-T1
    ("<|thought_start|>", "<|thought_end|>"),
    ("<|channel>thought\n", "<channel|>"),  # Gemma 4
    ("<|channel|>analysis<|message|>", END),  # gpt-oss
    ("<|channel|>commentary<|message|>", END),
    ("<unused94>thought\n", "<unused95>"),  # MedGemma
    ("<longcat_think>", "</longcat_think>"),
    ("<mm:think>", "</mm:think>"),
    ("<reflection>", "</reflection>"),
    ("<scratchpad>", "</scratchpad>"),
    ("<|thinking|>", "<|/thinking|>"),
    ("Here is my thought process:", "Here is my response:"),  # Granite
    ("Here's my thought process:", "Here's my response:"),
    ("Here are my reasoning steps:", "[BEGIN FINAL RESPONSE]"),  # Apriel
)
CLOSING_OF = {opening.lower(): closing for opening, closing in TAGS}
CLOSES_ALONE = tuple(closing.lower() for _, closing in TAGS if closing != END and closing[0] in "<[◁")
# gpt-oss's headers may say more: <|channel|>final <|constrain|>json<|message|>
CHANNEL = re.compile(
    r"(?:to=[\w.-]{1,80}\s*)?<\|channel\|>\s*(\w+)[^<]{0,80}(?:<\|constrain\|>[^<]{0,40})?<\|message\|>"
)
BEFORE_CHANNEL = ("<|channel|>", "to=")  # of which the second names a tool
LONGEST_CHANNEL = 200  # characters
# what stands before the answer itself
HEADERS = (
    *("<|start|>assistant", "<|channel|>final<|message|>"),
    *("<|begin_of_solution|>", "<|START_RESPONSE|>", "<|START_TEXT|>", "<|begin_of_box|>"),
)
DROPPED = (  # and behind it
    *("<|end_of_solution|>", "<|END_RESPONSE|>", "<|END_TEXT|>", "<|return|>", "[END FINAL RESPONSE]"),
    *("<|begin_of_box|>", "<|end_of_box|>"),  # GLM's, about the part of an answer that counts
)
# of a turn: tokens that a server with the wrong template leaves in
TURN_ENDS = ("<|im_end|>", "<|eot_id|>", "<|endoftext|>", "<|end_of_text|>", "<end_of_turn>", "<|END_OF_TURN_TOKEN|>")
WRAPPED = {"<answer>": "</answer>", "<response>": "</response>"}  # an answer between two of them
# tags that are in no list, told by their names: <inner_thoughts>, <|begin_of_reasoning|>, [REFLECTION]
TAG = re.compile(r"(<[|｜]?|[\[◁])([\w:▁-]{1,40})(?:\s[^<>\n]{0,60})?([|｜]?>|[\]▷])")
TAG_BEGUN = re.compile(r"(?:<[|｜]?|[\[◁])[\w:▁-]{0,40}(?:\s[^<>\n]{0,60})?[|｜]?$")
_NAMES_THINKING = re.compile(
    r"(?i)think|thought|reasoning|^reason$|reflect|rationale|monologue|scratchpad|^cot$|思考|推論|推理"
)
_BEGINS = re.compile(r"(?i)begin|start")
_SPECIAL = {*(tag for pair in TAGS for tag in pair), *HEADERS, "<|channel|>", "<|message|>", "<|start|>"}


def opened_in(prompt: str) -> str | None:
    """The tag of thoughts that a prompt opens at its end, so that the model only closes it.

    Args:
        prompt: The prompt, or its end.

    Returns:
        The tag; None if the prompt opens none.
    """
    end = prompt.rstrip().lower()
    return next((opening for opening, _ in TAGS if end.endswith(opening.strip().lower())), None)


def closing_of(opening: str) -> str:
    """Return what closes the thoughts that a tag opens.

    Args:
        opening: The tag.

    Returns:
        The closing tag.
    """
    return CLOSING_OF[opening.lower()]


def delimiters(tokens: dict[str, int]) -> dict[int, str]:
    """Those of a tokenizer's control tokens that thoughts are delimited with, by their ids.

    Args:
        tokens: Token ids by the tokens' strings.

    Returns:
        Strings by token ids.
    """
    return {number: token for token, number in tokens.items() if token in _SPECIAL}


def closing_by_name(tag: re.Match[str]) -> str | None:
    """Return what closes a tag that is in no list.

    Args:
        tag: A match of `TAG`.

    Returns:
        The closing tag; None for a tag that is not named for thinking.
    """
    opens, name, closes = tag.groups()
    if not _NAMES_THINKING.search(name) or (opens == "[" and not name.isupper()):  # [thoughts] may be a link
        return None
    ended = _BEGINS.sub("end", name, count=1)
    return f"{opens}{ended if ended != name else f'/{name}'}{closes}"
