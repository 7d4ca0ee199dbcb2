"""Pipelines of `diffusers`: found by repository id or folder, loaded, and run such that they can be cancelled."""

from __future__ import annotations

import gc
import importlib.util
import inspect
import logging
import os
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal, TypeVar

import httpx2

from exoactor_core.errors import BadInput, ExoActorError, Missing, ServiceFailed, reason
from exoactor_core.files import load_json
from exoactor_core.hub import local_first
from exoactor_core.optional import missing_extra
from exoactor_core.options import BaseOptions
from exoactor_gen.waiting import Tick, run_in_thread

_Result = TypeVar("_Result")
Step = Callable[[int], None]
"""Called with the number of completed denoising steps."""


def library() -> Any:
    """Import `diffusers` silently; raises `Missing` if it, or one of its dependencies, is not installed."""
    os.environ.setdefault("DIFFUSERS_VERBOSITY", "error")
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    try:
        diffusers = importlib.import_module("diffusers")
        importlib.import_module("accelerate")
        importlib.import_module("torch")
        from transformers.utils import logging as transformers_logging
    except ImportError as error:
        raise missing_extra("A video model on this machine", "torch, diffusers and accelerate", error) from None
    diffusers.utils.logging.disable_progress_bar()
    diffusers.utils.logging.set_verbosity_error()
    transformers_logging.disable_progress_bar()
    logging.getLogger("httpx").setLevel(logging.WARNING)
    return diffusers


class PipelineOptions(BaseOptions):
    """Options of everything that loads a pipeline."""

    model: str = ""
    """Repository id on the Hugging Face hub, or folder written by ``save_pretrained``."""
    revision: str = ""
    """Branch, tag or commit of the repository; empty: its main branch."""
    dtype: Literal["auto", "bfloat16", "float16", "float32"] = "auto"
    """auto: bfloat16 on a GPU, otherwise float32."""
    device: str = "auto"
    """PyTorch device, such as cuda or cpu; auto: CUDA if available."""
    offload: Literal["none", "model", "sequential"] = "none"
    """What is offloaded to main memory: none; model (the parts that are idle); sequential (every layer; slowest)."""
    tiling: bool = True
    """Decode images in tiles, which takes less memory."""
    slicing: bool = False
    """Decode videos one at a time, which takes less memory."""


class Pipeline:
    """A pipeline in a folder or on the Hugging Face hub; its weights are loaded when it is first run.

    Raises
    ------
    BadInput
        An option does not fit the device, or there is no pipeline.
    Missing
        A library, the device or the model is missing.
    """

    def __init__(self, options: PipelineOptions) -> None:
        model, dtype, offload = options.model, options.dtype, options.offload
        if not model.strip():
            raise BadInput("The option model is empty: give a repository id of the Hugging Face hub, or a folder.")
        self.library = library()
        import torch

        self.torch, self.model, self.offload = torch, model, offload
        self.tiling, self.slicing = options.tiling, options.slicing
        name = options.device if options.device != "auto" else "cuda" if torch.cuda.is_available() else "cpu"
        try:
            self.device = torch.device(name)
            torch.zeros(1, device=self.device)
        except (RuntimeError, AssertionError, NotImplementedError) as error:
            raise Missing(f"The device '{name}' cannot be used: {reason(error)}.") from None
        on_cpu = self.device.type == "cpu"
        if on_cpu and offload != "none":
            raise BadInput(f"The option offload={offload} moves parts to a GPU, but the device is the CPU: leave it.")
        if on_cpu and dtype == "float16":
            raise BadInput("CPUs do not compute in float16: use bfloat16 or float32.")
        self.dtype = dtype if dtype != "auto" else "float32" if on_cpu else "bfloat16"
        folder = Path(model).expanduser()
        self.where = str(folder) if folder.is_dir() else model
        self._of_hub = not folder.is_dir()
        if self._of_hub and (model.count("/") != 1 or model.startswith((".", "/", "~"))):
            raise BadInput(f"There is no folder {model}, and no repository on the hub has that name (owner/name).")
        self.revision = options.revision or None
        self.config = self._read_json("model_index.json")
        self.kind: Any = self._class(str(self.config.get("_class_name")))
        parts = [str(part[-1]) for part in self.config.values() if isinstance(part, list) and part]
        if any(part.endswith("VLProcessor") for part in parts) and not importlib.util.find_spec("torchvision"):
            raise Missing(
                f"The pipeline {model} needs torchvision: install it from where PyTorch came from, in the build that "
                f"belongs to PyTorch {torch.__version__}."
            )
        self._loaded: Any = None
        self._auto: Any = None

    # --- finding ----------------------------------------------------------------------------------------------------

    def _read_json(self, name: str) -> dict[str, Any]:
        """Read one of the pipeline's configuration files."""
        path = Path(self.where, name)
        if self._of_hub:
            from huggingface_hub import hf_hub_download

            path = self._fetched(lambda **o: hf_hub_download(self.model, name, revision=self.revision, **o))
        elif not path.is_file():
            raise BadInput(f"The folder {self.model} holds no {name}: it is not a diffusers pipeline.")
        return load_json(path)

    def _class(self, name: str) -> type:
        found = getattr(self.library, name, None)
        if not isinstance(found, type) or not issubclass(found, self.library.DiffusionPipeline):
            raise BadInput(
                f"{self.model} names the pipeline {name}, which diffusers {self.library.__version__} does not have."
            )
        return found

    def become(self, name: str) -> None:
        """Load the same weights with another pipeline class, which uses them differently."""
        self.kind = self._class(name)
        if type(self._loaded) is not self.kind:
            self._loaded = None

    def edit_images(self) -> None:
        """Load it as a pipeline that edits images, if another class does so with the same weights."""
        if "image" not in self.takes:
            self._auto = self.library.AutoPipelineForImage2Image

    def part(self, name: str) -> dict[str, Any]:
        """Content of the config.json of one of the pipeline's models."""
        return self._read_json(f"{name}/config.json")

    @property
    def takes(self) -> dict[str, Any]:
        """Names and defaults of the arguments of the pipeline's call."""
        parameters = inspect.signature(self.kind.__call__).parameters
        return {n: p.default for n, p in parameters.items() if n != "self" and p.kind is not p.VAR_KEYWORD}

    def needs(self, argument: str) -> bool:
        """Whether this argument is required."""
        return self.takes.get(argument) is inspect.Parameter.empty

    # --- loading ----------------------------------------------------------------------------------------------------

    def load(self, tick: Tick = lambda: None) -> Any:
        """Load the weights if necessary; ``tick`` is called meanwhile, and may abort.

        Raises
        ------
        Missing
            The weights are missing.
        BadInput
            They do not fit the pipeline.
        ServiceFailed
            They need more memory than there is.
        """
        if self._loaded is None:
            self._loaded = run_in_thread(lambda alive: self._load(), tick)
        return self._loaded

    def _load(self) -> Any:
        options: dict[str, Any] = {"dtype": getattr(self.torch, self.dtype), "use_safetensors": True}
        if self.kind.__name__.startswith("Wan"):  # its authors decode in float32
            options["dtype"] = {"default": options["dtype"], "vae": self.torch.float32}
        try:
            pipe = self._fetched(
                lambda **o: (self._auto or self.kind).from_pretrained(
                    self.where, revision=self.revision, **options, **o
                )
            )
            self.kind = type(pipe)
            pipe.set_progress_bar_config(disable=True)
            vae = getattr(pipe, "vae", None)
            for wanted, name in ((self.tiling, "enable_tiling"), (self.slicing, "enable_slicing")):
                if wanted and hasattr(vae, name):
                    getattr(vae, name)()
            if self.offload == "model":
                pipe.enable_model_cpu_offload(device=self.device)
            elif self.offload == "sequential":
                pipe.enable_sequential_cpu_offload(device=self.device)
            else:
                pipe.to(self.device)
            return pipe
        except ExoActorError:
            raise
        except ImportError as error:
            raise Missing(f"The pipeline {self.model} needs a library: {reason(error)}.") from None
        except Exception as error:
            if out_of_memory(error):
                raise self.too_large("be loaded") from None
            raise BadInput(
                f"The pipeline {self.model} cannot be loaded as {self.kind.__name__}: {reason(error)}."
            ) from None

    def _fetched(self, get: Callable[..., _Result]) -> _Result:
        """Load from the folder or the local cache, else from the hub."""
        from huggingface_hub.errors import (
            EntryNotFoundError,
            GatedRepoError,
            LocalEntryNotFoundError,
            RepositoryNotFoundError,
        )

        try:
            return local_first(get, self._of_hub)
        except GatedRepoError:
            raise Missing(
                f"The licence of {self.model} must be accepted first: at https://huggingface.co/{self.model}; then 'hf "
                "auth login' on this machine."
            ) from None
        except RepositoryNotFoundError:
            raise BadInput(
                f"There is no folder and no public repository {self.model} on the Hugging Face hub."
            ) from None
        except (OSError, httpx2.HTTPError) as error:
            if not self._of_hub:
                raise Missing(f"The pipeline in {self.model} is not complete: {reason(error)}.") from None
            if isinstance(error, EntryNotFoundError) and not isinstance(error, LocalEntryNotFoundError):
                raise BadInput(
                    f"The repository {self.model} holds no diffusers pipeline: take the one that its authors made "
                    "for diffusers, whose name usually ends in -diffusers."
                ) from None
            revision = f" --revision {self.revision}" if self.revision else ""
            raise Missing(
                f"The weights of {self.model} are not on this machine, and the Hugging Face hub cannot be reached or "
                f"does not give them: run 'hf download {self.model}{revision}' with a network, or give the option "
                "model a folder that holds them."
            ) from None

    def free(self) -> None:
        """Free the memory; weights are loaded again when needed."""
        self._loaded = None
        self._tidy()

    def _tidy(self) -> None:
        gc.collect()
        if self.device.type == "cuda":
            self.torch.cuda.empty_cache()

    # --- running ----------------------------------------------------------------------------------------------------

    def run(self, tick: Tick, on_step: Step, smaller: str, **arguments: Any) -> Any:
        """Run the pipeline with ``arguments``, without those that it does not support.

        ``tick`` is called several times per second; it may raise to abort, which takes effect before the next layer.
        ``on_step`` is called after each denoising step. ``smaller`` names what to reduce if memory does not suffice.

        Raises
        ------
        ServiceFailed
            It needs more memory than there is.
        BadInput
            It does not accept the arguments.
        """
        pipe = self.load(tick)
        steps = [0]

        def work(alive: Callable[[], None]) -> Any:
            hooks = [layer.register_forward_pre_hook(lambda *_: alive()) for layer in _layers(pipe, self.torch)]
            call = {name: value for name, value in arguments.items() if name in self.takes}

            def after(pipeline: Any, step: int, time: Any, tensors: dict[str, Any]) -> dict[str, Any]:
                steps[0] = step + 1
                alive()
                return tensors

            if "callback_on_step_end" in self.takes:
                call["callback_on_step_end"] = after
            try:
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")
                    return pipe(**call)
            finally:
                for hook in hooks:
                    hook.remove()

        def watch() -> None:
            on_step(steps[0])
            tick()

        try:
            return run_in_thread(work, watch, patience=60.0)
        except ExoActorError:
            raise
        except Exception as error:
            if out_of_memory(error):
                error.__traceback__ = None  # it references what fills the memory
                raise self.too_large("run", smaller) from None
            if isinstance(error, ImportError):
                raise Missing(f"The pipeline {self.model} needs a library: {reason(error)}.") from None
            if isinstance(error, ValueError | TypeError | RuntimeError | IndexError):
                raise BadInput(
                    f"The pipeline {self.kind.__name__} of {self.model} does not take this: {reason(error)}."
                ) from None
            raise
        finally:
            self._tidy()

    def too_large(self, what: str, smaller: str = "") -> ServiceFailed:
        """The error for a pipeline that needs too much memory, with what can be changed."""
        changes = [smaller] if smaller else []
        if self.device.type != "cpu" and self.offload != "sequential":
            changes.append(f"offload={'model' if self.offload == 'none' else 'sequential'}")
        if self.dtype == "float32":
            changes.append("dtype=bfloat16")
        if smaller and not self.tiling:
            changes.append("tiling=true")
        changes.append("a smaller model")
        memory = "the GPU's memory" if self.device.type != "cpu" else "this machine's memory"
        if self.device.type == "cuda":
            memory += f" of {self.torch.cuda.get_device_properties(self.device).total_memory / 2**30:.0f} GiB"
        return ServiceFailed(f"The pipeline {self.model} does not {what} in {memory}: try {', or '.join(changes)}.")


def out_of_memory(error: BaseException) -> bool:
    """Whether an error of PyTorch, NumPy or Python means that memory does not suffice."""
    import torch

    said = str(error).lower()
    return isinstance(error, torch.OutOfMemoryError | MemoryError) or (
        isinstance(error, RuntimeError)
        and any(words in said for words in ("out of memory", "not enough memory", "can't allocate memory"))
    )


def _layers(pipe: Any, torch: Any) -> list[Any]:
    """The layers of all of a pipeline's models: the members of their lists of modules."""
    models = [part for part in pipe.components.values() if isinstance(part, torch.nn.Module)]
    lists = (module for model in models for module in model.modules() if isinstance(module, torch.nn.ModuleList))
    return [layer for members in lists for layer in members if layer is not None]  # some lists have gaps
