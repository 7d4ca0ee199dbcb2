"""config/exoactor.yaml and docs/options.md hold every option of every backend, with its default and its help."""

import importlib.util
import re
from pathlib import Path

import pytest
import yaml

from exoactor_core.errors import Missing
from exoactor_core.stages import backend_class, backend_names

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def script():
    spec = importlib.util.spec_from_file_location("generate_options", ROOT / "scripts" / "generate_options.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def written(generate):
    try:
        return generate()
    except Missing as error:  # a library that this machine lacks
        pytest.skip(str(error))


def test_the_generated_files_are_up_to_date(script):
    for path, generate in ((script.CONFIG, script.config), (script.PAGE, script.page)):
        assert path.read_text() == written(generate), f"run scripts/generate_options.py: {path.name} is out of date"


def test_every_option_stands_in_the_config_with_its_default_and_a_comment(script):
    text = written(script.config)
    for node, stage in script.STAGES.items():
        section = text.split(f"/**/{node}:")[1].split("\n/**/")[0]
        lines = [line[6:] for line in section.splitlines() if re.match(r"    # +\w+:( |$)", line)]
        parameters = yaml.safe_load("\n".join(lines))
        for options, (name, *_) in script.option_groups(stage).items():
            assert parameters[name] == dict(options()), name


@pytest.mark.parametrize("stage", ["generate", "estimate", "retarget", "track"])
def test_every_option_has_help(stage):
    for name in backend_names(stage):
        try:
            fields = backend_class(stage, name).Options.model_fields
        except Missing:
            continue
        assert all(field.description for field in fields.values()), name
