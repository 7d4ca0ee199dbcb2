"""Seconds per second of video for every generator that can run on this machine. Prints one JSON object.

    .venv/bin/python bench/generation.py
    .venv/bin/python bench/generation.py --models Wan-AI/Wan2.2-TI2V-5B-Diffusers    # local or downloaded weights

Diffusers pipelines run with random weights: tiny ones, which measure the overhead around the model, and, with a GPU (or
with --real), one of the size of Wan 2.1 with 1.3 billion parameters, whose time is that of the model except for the
text encoder, which has a single layer. Generators that cannot run are listed with the reason.
"""

from __future__ import annotations

import json
import os
import platform
import sys
import tempfile
import time
from pathlib import Path
from typing import Annotated, Any

import torch
import typer

from exoactor.cli import progress_bars
from exoactor_core.errors import ExoActorError
from exoactor_core.stages import GenerateRequest, backend_class, backend_names, load_backend

TASK = "wave with your right hand"


sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))  # ros_testing, tiny_pipelines


def main(
    task: str = TASK,
    models: Annotated[list[str] | None, typer.Option(help="Repositories or folders of real pipelines.")] = None,
    steps: Annotated[int, typer.Option(help="Denoising steps of the large pipelines.")] = 30,
    real: Annotated[bool, typer.Option(help="Also run the large pipeline on a CPU: hours.")] = False,
) -> None:
    results: dict[str, Any] = {"mannequin": measured(task, "mannequin")}
    with tempfile.TemporaryDirectory() as folder:
        import tiny_pipelines as tiny

        for name in ("wan", "ltx"):
            options = {"steps": 4, "width": 128, "height": 96, "model": tiny.saved(name, Path(folder))}
            results[f"diffusers, tiny {name}"] = measured(task, "diffusers", **options)
        if real or torch.cuda.is_available():
            path = str(Path(folder, "wan-1.3b"))
            wan(path)
            results["diffusers, Wan 2.1 1.3B with random weights"] = measured(
                task, "diffusers", model=path, steps=steps
            )
        for name in models or []:
            results[f"diffusers, {name}"] = measured(task, "diffusers", model=name, steps=steps)
    device = torch.cuda.get_device_name() if torch.cuda.is_available() else "no GPU"
    print(
        json.dumps(
            {
                "task": task,
                "seconds_per_second": {n: r["seconds_per_second"] for n, r in results.items() if "frames" in r},
                "generators": results,
                "cannot_run": cannot_run(),
                "machine": ", ".join(
                    (platform.machine(), f"{os.cpu_count()} cores", device, f"Python {platform.python_version()}")
                ),
            },
            indent=2,
        )
    )


def measured(task: str, backend: str, **options: Any) -> dict[str, Any]:
    """Make one video; wall and CPU time, with loading separate."""
    try:
        start = time.perf_counter()
        generator = load_backend("generate", backend, **options)
        if backend == "diffusers":
            generator.pipeline.load()
        loaded = time.perf_counter() - start
        if torch.cuda.is_available():
            torch.cuda.reset_peak_memory_stats()
        start, cpu = time.perf_counter(), time.process_time()
        with progress_bars() as bars:
            made = generator(GenerateRequest(task), bars(backend))
        wall, cpu = time.perf_counter() - start, time.process_time() - cpu
    except ExoActorError as error:
        return {"failed": str(error)}
    length, video = made.video.duration, made.video
    result = {
        "seconds_per_second": round(wall / length, 3),
        "cpu_seconds_per_second": round(cpu / length, 3),
        "cpu_ms_per_frame": round(1000 * cpu / video.frame_count, 2),
        "loading_seconds": round(loaded, 2),
        "frames": video.frame_count,
        "video": f"{video.width}x{video.height} at {video.fps:g} per second, {length:.2f} s",
    }
    if "steps" in made.metrics:
        result["steps"] = made.metrics["steps"]
    if torch.cuda.is_available() and torch.cuda.max_memory_allocated():
        result["gpu_gib"] = round(torch.cuda.max_memory_allocated() / 2**30, 1)
    return result


def cannot_run() -> dict[str, str]:
    """Generators that cannot run here, and the reasons."""
    reasons = {}
    for name in backend_names("generate"):
        try:
            getattr(backend_class("generate", name), "ready", lambda: "")()
        except ExoActorError as error:
            reasons[name] = str(error)
    return reasons


def wan(path: str, layers: int = 30) -> None:
    """Save a pipeline of the size in Wan2.1-T2V-1.3B's config.json, with random weights."""
    from diffusers import AutoencoderKLWan, FlowMatchEulerDiscreteScheduler, WanPipeline, WanTransformer3DModel
    from transformers import UMT5Config, UMT5EncoderModel

    import tiny_pipelines as tiny

    torch.manual_seed(0)
    parts = {
        "transformer": WanTransformer3DModel(
            num_layers=layers,
            num_attention_heads=12,
            attention_head_dim=128,
            ffn_dim=8960,
            in_channels=16,
            out_channels=16,
            text_dim=4096,
        ),
        "vae": AutoencoderKLWan(),
        "text_encoder": UMT5EncoderModel(
            UMT5Config(vocab_size=8, d_model=4096, d_kv=64, d_ff=10240, num_heads=64, num_layers=1)
        ),
    }
    parts = {name: part.to(torch.bfloat16) for name, part in parts.items()}
    scheduler = FlowMatchEulerDiscreteScheduler(shift=3.0)
    WanPipeline(**parts, tokenizer=tiny.words(), scheduler=scheduler).save_pretrained(path)


if __name__ == "__main__":
    typer.run(main)
