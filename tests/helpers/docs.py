"""Whether what help() prints of a function or class says everything: each parameter, and what is returned."""

import dataclasses
import inspect
import re

SECTIONS = (
    "Args",
    "Attributes",
    "Returns",
    "Yields",
    "Raises",
    "Example",
    "Examples",
    "Note",
    "Notes",
    "References",
)
ENTRY = re.compile(r"(\*{0,2}\w+)\s*(?:\(.*?\))?:(?:\s+|$)(.*)")


def sections(doc: str) -> dict[str, list[str]]:
    """The sections of a Google style docstring.

    Args:
        doc: a docstring as inspect.getdoc returns it.

    Returns:
        The lines of each section, without their common indent, by the section's name.
    """
    found, current = {}, None
    for line in doc.splitlines():
        if (
            line.rstrip(":").strip() in SECTIONS
            and line.rstrip().endswith(":")
            and not line.startswith(" ")
        ):
            current = found.setdefault(line.strip()[:-1], [])
        elif line.strip() and not line.startswith(" "):
            current = None
        elif current is not None:
            current.append(line)
    return {
        name: inspect.cleandoc("\n" + "\n".join(lines)).splitlines()
        for name, lines in found.items()
    }


def entries(lines: list[str]) -> dict[str, str]:
    """What an `Args:` or `Attributes:` section says of each name.

    Args:
        lines: the lines of the section.

    Returns:
        The text of each name, continued lines included.
    """
    found, name = {}, None
    for line in lines:
        if (entry := ENTRY.match(line)) and not line.startswith(" "):
            name = entry[1].lstrip("*")
            found[name] = entry[2].strip()
        elif name:
            found[name] = f"{found[name]} {line.strip()}".strip()
    return found


def missing(names: list[str], doc: str, section: str) -> list[str]:
    """The names that no section of a docstring describes.

    Args:
        names: parameters or fields.
        doc: the docstring.
        section: where they belong: `Args` or `Attributes`.

    Returns:
        One line of text for each.
    """
    parts = sections(doc)
    said = entries(parts.get("Args", [])) | entries(parts.get("Attributes", []))
    empty = ("", "todo")
    return [
        f"`{section}:` says nothing of {n}"
        for n in names
        if said.get(n, "").lower().strip(" .:") in empty
    ]


def parameters(function) -> list[str]:
    """Names of the parameters that a caller gives.

    Args:
        function: a function, also a method.

    Returns:
        All names but self and cls.
    """
    return [n for n in inspect.signature(function).parameters if n not in ("self", "cls")]


def function_problems(function, returns: bool = True) -> list[str]:
    """What is missing in the docstring of a function.

    Args:
        function: a function, also a method.
        returns: whether a `Returns:` or `Yields:` section is asked for.

    Returns:
        One line of text for each thing that is missing.
    """
    function = getattr(function, "py_func", function)  # numba keeps the function it compiled
    doc = inspect.getdoc(function)
    if not doc:
        return ["no docstring"]
    found = missing(parameters(function), doc, "Args")
    annotation = inspect.signature(function).return_annotation
    nothing = (inspect.Signature.empty, None, "None", "NoReturn", "Never")
    if returns and annotation not in nothing and not {"Returns", "Yields"} & sections(doc).keys():
        found.append("no `Returns:` or `Yields:` section")
    return found


def fields(cls) -> list[str] | None:
    """The public fields that a dataclass or NamedTuple declares itself.

    Args:
        cls: a class.

    Returns:
        Their names, without those of its bases; None for any other class.
    """
    if dataclasses.is_dataclass(cls):
        own = inspect.get_annotations(cls)
        return [
            f.name for f in dataclasses.fields(cls) if f.name in own and not f.name.startswith("_")
        ]
    return list(cls._fields) if issubclass(cls, tuple) and hasattr(cls, "_fields") else None


def class_problems(cls, library: str = "threedad") -> list[str]:
    """What is missing in the docstrings of a class, its `__init__`, its fields and its public methods.

    Args:
        cls: the class.
        library: the package whose methods count; what it inherits from others is theirs to describe.

    Returns:
        One line of text for each thing that is missing, with the method's name in front.
    """
    doc = vars(cls).get("__doc__") or ""
    generated = doc.startswith(
        f"{cls.__name__}("
    )  # dataclass and NamedTuple write their signature there
    if not doc or generated:
        return ["no docstring"]
    found = []
    if (names := fields(cls)) is not None:
        found += missing(names, inspect.getdoc(cls), "Attributes")
    elif init := vars(cls).get("__init__"):
        found += missing(
            parameters(init),
            f"{inspect.getdoc(cls)}\n\n{inspect.cleandoc(init.__doc__ or '')}",
            "Args",
        )
    for name, value in vars(cls).items():
        if name.startswith("_") and name != "__call__":
            continue
        value = value.__func__ if isinstance(value, staticmethod | classmethod) else value
        if isinstance(value, property):
            said = [] if inspect.getdoc(value) else ["no docstring"]
        elif inspect.isfunction(value) and inspect.unwrap(value).__module__.startswith(library):
            said = function_problems(getattr(cls, name), returns=name != "__call__")
        else:
            continue
        found += [f"{name}: {text}" for text in said]
    return found


def problems(thing, library: str = "threedad") -> list[str]:
    """What is missing in the documentation of a public name.

    Args:
        thing: a function or class.
        library: the package it is part of.

    Returns:
        One line of text for each thing that is missing; none where all is said.
    """
    return class_problems(thing, library) if inspect.isclass(thing) else function_problems(thing)
