"""fer-deploy triton from the command line, on the model that ships with the package and a made-up plan."""

from click.testing import CliRunner, Result
from unit.fer_deploy.export.triton.triton_plans import write_plan

from fer_deploy.artifacts import bundled_model
from fer_deploy.cli import main
from fer_deploy.export.triton.config import parse_config
from fer_deploy.flavors import Flavor


def run(*args: object) -> Result:
    return CliRunner().invoke(main, ["triton", *map(str, args)])


def test_both_variants(tmp_path):
    plan, out = write_plan(tmp_path / "net-fp16.plan"), tmp_path / "repository"
    result = run("--engine", bundled_model(), "--artifact", plan, "--out", out)
    assert result.exit_code == 0, result.output
    assert result.stdout.splitlines() == [
        f"{out / 'senet-ferplus-fp16-onnx'}: config.pbtxt, labels.txt, 1/model.onnx",
        f"{out / 'net-fp16-plan'}: config.pbtxt, labels.txt, 1/model.plan",
    ]
    assert f"--model-repository={out}" in result.stderr


def test_flags_reach_the_config(tmp_path):
    result = run(
        "--engine",
        bundled_model(),
        "--out",
        tmp_path,
        "--max-batch-size",
        16,
        "--preferred-batch-size",
        4,
        "--preferred-batch-size",
        16,
        "--max-queue-delay-us",
        100,
        "--device",
        "cpu",
        "--instances",
        2,
        "--warmup",
        "zero",
    )
    assert result.exit_code == 0, result.output
    config = parse_config((tmp_path / "senet-ferplus-fp16-onnx" / "config.pbtxt").read_text(), where="x")
    assert config.max_batch_size == 16
    assert list(config.dynamic_batching.preferred_batch_size) == [4, 16]
    assert config.dynamic_batching.max_queue_delay_microseconds == 100
    assert (config.instance_group[0].kind, config.instance_group[0].count) == (config.instance_group[0].KIND_CPU, 2)
    assert all(sample.inputs["images"].zero_data for sample in config.model_warmup)


def test_config_file_and_flags_that_win(tmp_path):
    path = tmp_path / "triton.yaml"
    path.write_text("preferred_batch_size: [2, 4]\nmax_batch_size: 8\nwarmup: 'off'\n")
    result = run("--config", path, "--engine", bundled_model(), "--out", tmp_path / "out", "--max-batch-size", 4)
    assert result.exit_code == 0, result.output
    config = parse_config((tmp_path / "out" / "senet-ferplus-fp16-onnx" / "config.pbtxt").read_text(), where="x")
    assert (config.max_batch_size, list(config.dynamic_batching.preferred_batch_size)) == (4, [2, 4])
    assert not config.model_warmup


def test_no_cuda_graphs(tmp_path):
    plan = write_plan(tmp_path / "net-fp16.plan")
    assert run("--engine", plan, "--out", tmp_path / "a").exit_code == 0
    assert run("--engine", plan, "--out", tmp_path / "b", "--no-cuda-graphs").exit_code == 0
    texts = [(tmp_path / out / "net-fp16-plan" / "config.pbtxt").read_text() for out in "ab"]
    assert ["graphs: true" in text for text in texts] == [True, False]


def test_plan_of_the_other_flavor(tmp_path):
    plan = write_plan(tmp_path / "net.plan", flavor=Flavor.TENSORRT_RTX)
    result = run("--engine", plan, "--out", tmp_path / "out")
    assert result.exit_code == 5
    assert "error: Triton cannot load" in result.stderr


def test_settings_out_of_range(tmp_path):
    result = run("--engine", bundled_model(), "--out", tmp_path / "out", "--max-batch-size", 0)
    assert result.exit_code == 2
    assert "--max-batch-size: expected" in result.stderr
    assert not (tmp_path / "out").exists()


def test_is_listed():
    result = CliRunner().invoke(main, ["--help"])
    assert "triton" in result.stdout
