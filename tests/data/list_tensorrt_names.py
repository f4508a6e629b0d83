"""List every class and attribute of TensorRT's Python bindings, from a wheel and without its gigabytes of libraries.

    python tests/data/list_tensorrt_names.py tensorrt_cu13_bindings-11.4.0.106-cp311-*.whl > tests/data/tensorrt_11_4_names.txt

The bindings' classes are compiled into one shared object, which only loads beside the libraries that it links. A few C
functions of those are all that it names, and none is called by importing it; so it is loaded beside empty ones, made
here with the C compiler. Needs a Python of the wheel's version, Linux, cc, nm and readelf. A line is `Class.attribute`,
or `name` of the module itself.
"""  # noqa: E501

import re
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

_DUMP = """
import sys
sys.path.insert(0, sys.argv[1])
import tensorrt_bindings as trt
names = set()
for name, value in vars(trt).items():
    if name.startswith("_") or type(value).__name__ == "module":
        continue
    names.add(name)
    if isinstance(value, type):
        names |= {f"{name}.{attribute}" for attribute in dir(value) if not attribute.startswith("_")}
print(f"# {trt.__version__}", *sorted(names), sep="\\n")
"""


def main() -> None:
    """Print the names of the wheel given on the command line."""
    with tempfile.TemporaryDirectory() as folder:
        zipfile.ZipFile(sys.argv[1]).extractall(folder)
        package = Path(folder) / "tensorrt_bindings"
        _make_empty_libraries(package / "tensorrt.so")
        subprocess.run([sys.executable, "-c", _DUMP, folder], check=True)


def _make_empty_libraries(bindings: Path) -> None:
    needed = re.findall(r"\[(libnv\S+)\]", _output("readelf", "-d", str(bindings)))
    undefined = re.findall(r" U (\w+)$", _output("nm", "-D", "--undefined-only", str(bindings)), re.MULTILINE)
    functions = [name for name in undefined if re.search("Infer|Onnx|PluginRegistry|NvInfer", name)]
    source = bindings.with_name("empty.c")
    source.write_text("\n".join(f"void *{name}(void) {{ return 0; }}" for name in functions))
    for library in needed:
        subprocess.run(["cc", "-shared", "-fPIC", "-o", str(bindings.with_name(library)), str(source)], check=True)


def _output(*command: str) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


if __name__ == "__main__":
    main()
