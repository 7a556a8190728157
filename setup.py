"""Puts the shipped configuration, `config/`, into the installed package; all else stands in pyproject.toml.

An editable install takes nothing along: there the program reads `config/` where it is.
"""

from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

ROOT = Path(__file__).parent
SHIPPED = {ROOT / "config": "tray_agent/_config"}
"""Folder of the checkout -> folder of the installed package."""


class BuildWithConfig(build_py):
    """Copies the shipped folders beside the modules."""

    def run(self) -> None:
        super().run()
        if self.editable_mode:
            return
        for source, target in self._shipped():
            self.mkpath(str(target.parent))
            self.copy_file(str(source), str(target), preserve_mode=False)

    def _shipped(self) -> list[tuple[Path, Path]]:
        """Each file and where it goes."""
        return [
            (source, Path(self.build_lib) / target / source.relative_to(folder))
            for folder, target in SHIPPED.items()
            for source in sorted(folder.rglob("*"))
            if source.suffix in {".yaml", ".json"}
        ]

    def get_outputs(self, include_bytecode: bool = True) -> list[str]:
        return [*super().get_outputs(include_bytecode), *(str(target) for _, target in self._shipped())]


setup(cmdclass={"build_py": BuildWithConfig})
