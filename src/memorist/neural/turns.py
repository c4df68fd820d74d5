"""What a model is shown: remembered text as a turn of its own, and a question after it, as tokens.

A turn begins and ends with marks of the model's chat template, so its tokens are the same alone and within a prompt,
and it can be read before anybody knows what is asked.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from memorist.errors import InputError

if TYPE_CHECKING:
    from memorist.neural.weights import TorchModel

BREAK = "\u200b"
"""Stands in a mark of the template that a memory contains, so that it cannot pose as another turn."""


def tokens(model: TorchModel, text: str) -> list[int]:
    """The tokens of a text whose marks are marks."""
    return [int(id) for id in model.tokenizer(text, add_special_tokens=False).input_ids]


def turn(model: TorchModel, text: str) -> str:
    """Remembered text as the model is shown it: a system turn of its chat template, or a paragraph without one."""
    said = unmarked(model, text).strip()
    if not said:
        raise InputError("there is no text to remember; name memories that say something")
    if model.tokenizer.chat_template is None:
        return f"{said}\n\n"
    return rendered(model, [{"role": "system", "content": said}])


def asked(model: TorchModel, question: str) -> str:
    """A question, up to where the model's answer begins; it follows a turn."""
    said = unmarked(model, question).strip()
    if model.tokenizer.chat_template is None:
        return f"{said}\n"
    before = [{"role": "system", "content": "x"}]  # templates that find no system turn write one of their own
    whole = rendered(model, [*before, {"role": "user", "content": said}], answer=True)
    return whole.removeprefix(rendered(model, before))


def rendered(model: TorchModel, messages: Sequence[dict[str, str]], answer: bool = False) -> str:
    """Messages in the model's template. Raises InputError when it has no system turn."""
    from jinja2 import TemplateError

    try:
        made = model.tokenizer.apply_chat_template(list(messages), tokenize=False, add_generation_prompt=answer)
    except TemplateError as error:
        raise InputError(f"the chat template of {model.name} has no place for remembered text: {error}") from error
    return str(made)


def unmarked(model: TorchModel, text: str) -> str:
    """The text with every mark of the template broken."""
    for mark in model.tokenizer.all_special_tokens + list(model.tokenizer.get_added_vocab()):
        text = text.replace(mark, mark[:1] + BREAK + mark[1:])
    return text
