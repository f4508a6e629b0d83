"""What is wrong with a value of a config or a spec, in plain words."""

from typing import Any, Final

_EXPECTED: Final = {
    "bool_parsing": "true or false",
    "bool_type": "true or false",
    "dict_type": "keys with values",
    "enum": "{expected}",
    "finite_number": "a finite number",
    "float_parsing": "a number",
    "float_type": "a number",
    "greater_than": "more than {last}",
    "greater_than_equal": "at least {last}",
    "int_from_float": "a whole number",
    "int_parsing": "a whole number",
    "int_type": "a whole number",
    "invalid_key": "text as the key",
    "less_than": "less than {last}",
    "less_than_equal": "at most {last}",
    "list_type": "a list",
    "literal_error": "{expected}",
    "model_type": "keys with values",
    "path_type": "a path",
    "string_too_long": "a length of at most {max_length}",
    "string_too_short": "a length of at least {min_length}",
    "string_type": "text",
    "too_long": "a length of at most {max_length}",
    "too_short": "a length of at least {min_length}",
    "tuple_type": "a list",
}


def fault_in_words(fault: Any) -> str:
    """Return what an entry of `ValidationError.errors()` says, as "expected at least 1".

    The place and the given value are not in it. A fault that this project found itself keeps its message.
    """
    kind, message = fault["type"], str(fault["msg"])
    if kind == "missing":
        return "is missing"
    if kind in _EXPECTED:
        number = message.rpartition(" ")[2]  # 1, where the context has 1.0
        return f"expected {_EXPECTED[kind].format(**fault.get('ctx', {}), last=number)}"
    return message.removeprefix("Value error, ")
