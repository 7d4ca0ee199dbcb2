"""The command line `exoactor`. Exit codes: 0 success, 2 bad input, 3 missing, 4 refused or failed, 130 cancelled."""

from __future__ import annotations

import json
import os
import sys
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table
from rich.text import Text

from exoactor import __version__, console
from exoactor.console import print_json, print_metrics, print_report, progress_bars, stage_bars, stderr, stdout
from exoactor.demo import write_demo
from exoactor.graph import SERVICES, environment, robot_name
from exoactor.inputs import DEFAULTS, Backends, read_request, read_scene, read_task
from exoactor.pipeline import InProcessStages, Pipeline, Report, Task
from exoactor.run_folder import RunFolder
from exoactor_core.errors import BadInput, ExoActorError, Missing, Refused, TrackingFailed, error_of
from exoactor_core.files import check_file, check_folder, load_json, save_image, save_json, save_or_rescue
from exoactor_core.optional import missing_extra
from exoactor_core.options import allowed, description
from exoactor_core.stages import GenerateRequest, Generation, Metrics, add_notes, backend_class

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None, pretty_exceptions_enable=False, add_completion=False)

Json = Annotated[bool, typer.Option("--json", help="Print the figures, or the error, as one JSON object.")]


def output_file(*flags: str, help: str, ending: str) -> Any:
    """An option for an output file, which is checked before the work begins."""
    return typer.Option(*flags, help=f"{help} ({ending})", callback=lambda path: path and check_file(path, ending))


def output_folder(*flags: str, help: str) -> Any:
    """An option for an output folder, which is checked before the work begins."""
    return typer.Option(*flags, help=help, callback=lambda path: path and check_folder(path))


Set = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        "-s",
        metavar="STAGE.OPTION=VALUE",
        help="Set a backend's option, e.g. generate.camera=side ('exoactor options' lists them). Repeatable.",
    ),
]
Policy = Annotated[
    str, typer.Option(help="Tracker: exoactor (ours), a policy file, or pd: joint PD, the G1 on an elastic band.")
]
TaskArg = Annotated[str, typer.Argument(help="What to do; may be omitted if a plan is given.")]
Plan = Annotated[
    Path | None, typer.Option(help="Carry out this plan (plan.json of a run, edited or not) instead of planning TASK.")
]
Image = Annotated[Path | None, typer.Option(help="Image of the scene.")]
SceneFile = Annotated[
    Path | None, typer.Option("--scene", help="Scene with the objects: .yaml, or the bodies of an MJCF (.xml).")
]
GeneratorName = Annotated[str, typer.Option(help="Video generator.")]
RobotFile = Annotated[Path, typer.Argument(help="Robot motion: .npz, .csv (Unitree) or .pkl (GMR).")]
Namespace = Annotated[str, typer.Option(help="Name of the robot, as the launch argument.")]
Network = Annotated[str, typer.Option(help="localhost or subnet, as the launch argument.")]
Fps = Annotated[float | None, typer.Option(help="Frame rate of a csv file; default: as stated in the file, or 30.")]


def print_version(wanted: bool) -> None:
    """Print the version, and exit."""
    if wanted:
        stdout.print(__version__, highlight=False)
        raise typer.Exit


@app.callback()
def common(
    version: Annotated[
        bool, typer.Option("--version", is_eager=True, callback=print_version, help="Print the version, and exit.")
    ] = False,
) -> None:
    """Say a task in words; a Unitree G1 does it, in simulation first."""


@app.command(epilog='Example: exoactor run "walk forward two metres, then wave"')
def run(
    task: TaskArg = "",
    plan: Plan = None,
    policy: Policy = "exoactor",
    generator: GeneratorName = DEFAULTS["generate"],
    image: Image = None,
    scene: SceneFile = None,
    output: Annotated[Path | None, output_folder("-o", "--output", help="Folder for the run folder.")] = None,
    demo: Annotated[bool, typer.Option(help="Write demo.mp4 into the run folder.")] = True,
    tries: Annotated[
        int,
        typer.Option(min=0, max=20, help="Retries with other videos if the rehearsal fails; none with paid services."),
    ] = 2,
    settings: Set = None,
    json_: Json = False,
) -> None:
    """Run the whole pipeline in one process, ending in a rehearsal in MuJoCo."""
    request = read_request(task, plan, image, scene)
    task = request.instruction
    stages = InProcessStages(Backends(settings, policy, generate=generator).load)
    stages.load()
    folder = RunFolder.create(task, output)
    if not json_:
        stderr.print(f"Run folder: {folder.path}", soft_wrap=True)
    with progress_bars(quiet=json_) as bars:
        try:
            report = Pipeline(stages, folder, bars, Report(task)).run(Task(request, tries=tries))
        except ExoActorError as error:
            error.metrics = {"run_folder": str(folder.path), **error.metrics}
            if demo and (folder.path / "rehearsal.npz").exists():
                write_demo(folder, bars("demo"), failed=True)
            raise
        if demo:
            write_demo(folder, bars("demo"))
    if json_:
        print_json({"run_folder": str(folder.path), **vars(report)})
    else:
        print_report(folder.path, vars(report))


@app.command(
    epilog='Examples: exoactor generate "wave with your right hand" -o wave.mp4; '
    "exoactor generate --plan wave.plan.json --generator kling; exoactor generate --resume RUN_FOLDER"
)
def generate(
    task: TaskArg = "",
    plan: Plan = None,
    output: Annotated[
        Path | None, output_file("-o", "--output", help="Video to write; default: video.mp4.", ending=".mp4")
    ] = None,
    generator: GeneratorName = DEFAULTS["generate"],
    image: Image = None,
    scene: SceneFile = None,
    resume: Annotated[
        Path | None,
        typer.Option(help="Fetch the video of an earlier job: a run folder, or a .job.json."),
    ] = None,
    settings: Set = None,
    json_: Json = False,
) -> None:
    """Generate a third-person video of a person doing the task."""
    if resume is None:
        request, backends = read_request(task, plan, image, scene), Backends(settings, generate=generator)
    else:
        if task or plan or image or scene:
            raise BadInput(
                "--resume fetches the video of a job as it is: leave out the task, --plan, --image and --scene."
            )
        file = resume / "job.json" if resume.is_dir() else resume
        job = load_json(file)
        request = GenerateRequest("", job=job)
        backends = Backends(settings, generate=str(job.get("generator", "")))
        for option in ("model", "base_url"):
            backends.options["generate"].setdefault(option, str(job.get(option, "")))
        output = output or file.with_name(f"{file.name.removesuffix('job.json').removesuffix('.') or 'video'}.mp4")
    output = check_file(output or Path("video.mp4"), ".mp4")
    generator_ = backends.load("generate")
    try:
        with progress_bars(json_) as bars:
            generation: Generation = generator_(
                request,
                bars("generate"),
                on_plan=lambda plan: save_json(output.with_suffix(".plan.json"), plan),
                on_job=lambda job: save_json(output.with_suffix(".job.json"), job),
            )
    except Refused as error:
        if error.output is not None:
            save_or_rescue(partial(save_generation, error.output), output)
            stderr.print(f"The refused video is kept to look at: {output}", soft_wrap=True)
            print_metrics(error.output.metrics, json_, error)
        raise
    save_or_rescue(partial(save_generation, generation), output)
    print_metrics(generation.metrics, json_)


@app.command("plan", epilog='Example: exoactor plan "walk forward two metres, then wave"')
def plan_(
    task: Annotated[str, typer.Argument(help="What to do.")],
    generator: GeneratorName = DEFAULTS["generate"],
    settings: Set = None,
    json_: Json = False,
) -> None:
    """Print the plan of a task as JSON, without making a video."""
    backends = Backends(settings, generate=generator)
    plan = backend_class("generate", generator).plan(
        GenerateRequest(read_task(task, None)[0]), **backends.options["generate"]
    )
    if json_:
        print_json(plan)
    else:
        stdout.out(json.dumps(plan, indent=2, ensure_ascii=False))


def save_generation(generation: Generation, output: Path) -> None:
    """Write a video, and beside it its metrics, first image, true motion, scene and rejected alternatives."""
    generation.video.save(output)
    save_json(output.with_suffix(".metrics.json"), generation.metrics)
    if generation.image is not None:
        save_image(output.with_suffix(".image.png"), generation.image)
    if generation.truth is not None:
        generation.truth.save(output.with_suffix(".truth.npz"))
    if generation.interaction is not None:
        generation.interaction.scene.save(output.with_suffix(".scene.yaml"))
    for number, video in enumerate(generation.others, 1):
        video.save(output.with_suffix(f".other_{number}.mp4"))


@app.command("scene", epilog="Example: exoactor scene kitchen.yaml -o kitchen.xml")
def scene_(
    file: Annotated[Path, typer.Argument(help="Scene: .yaml, or the bodies of an MJCF (.xml).")],
    output: Annotated[Path | None, typer.Option("-o", "--output", help="Scene to write: .yaml or .xml (MJCF).")] = None,
    json_: Json = False,
) -> None:
    """Check a scene, print its objects, and convert it between YAML and MJCF."""
    from exoactor_core.scene import Scene
    from exoactor_core.scene_mjcf import to_mjcf

    if output is not None:
        check_file(output, output.suffix if output.suffix in (".yaml", ".xml") else ".yaml or .xml")
    found = read_scene(file)
    if output is not None:
        (to_mjcf if output.suffix == ".xml" else Scene.save)(found, output)
    if json_:
        print_json(found.model_dump(mode="json"))
        return
    for obj in found.objects:
        stdout.print(f"  {obj.id:<28}at {', '.join(f'{v:.3g}' for v in obj.pos)} m, {obj.mass:.3g} kg")


@app.command(epilog="Example: exoactor estimate wave.mp4 -o wave_human.npz")
def estimate(
    file: Annotated[Path, typer.Argument(help="Video of a person, or result file of another estimator.")],
    output: Annotated[Path, output_file("-o", "--output", help="Human motion to write.", ending=".npz")] = Path(
        "human.npz"
    ),
    estimator: Annotated[str, typer.Option(help="Pose estimator for videos.")] = DEFAULTS["estimate"],
    all_: Annotated[
        bool, typer.Option("--all", help="Write the motion of every stretch of the video, not only of the longest.")
    ] = False,
    settings: Set = None,
    json_: Json = False,
) -> None:
    """Estimate the person's motion in a video, or read it from a file of GVHMR, WHAM, AMASS, bvh and others."""
    from exoactor_core.video import Video
    from exoactor_pose.importers import SUPPORTED_FORMATS, recognises

    clip = None
    if recognises(file):
        backends = Backends(settings, estimate="file")
        backends.options["estimate"]["path"] = str(file)
    else:
        try:
            clip = Video.load(file)
        except BadInput as error:
            others = f" Supported motion files: {SUPPORTED_FORMATS}." if file.exists() else ""
            raise BadInput(f"{error}{others}") from None
        backends = Backends(settings, estimate=estimator)
    with progress_bars(json_) as bars:
        result = InProcessStages(backends.load).estimate(clip, bars("estimate"))
    save_or_rescue(result.motion.save, output)
    for start, motion in result.stretches if all_ else ():
        if motion is not result.motion:
            motion.save(output.with_suffix(f".from_{start:.1f}s.npz"))
    print_metrics(result.metrics, json_)


@app.command(
    epilog="Examples: exoactor retarget wave_human.npz -o wave_robot.npz; "
    "exoactor retarget AMASS/*.npz -o robot/ --format csv --jobs 8"
)
def retarget(
    human: Annotated[
        list[Path], typer.Argument(help="Human motions: files that estimate reads, or folders of .npz and .bvh.")
    ],
    output: Annotated[
        Path,
        typer.Option(
            "-o",
            "--output",
            help="Robot motion to write: .npz, .csv (Unitree), .pkl (GMR), .beyondmimic.npz; or a folder.",
        ),
    ] = Path("robot.npz"),
    format_: Annotated[
        str,
        typer.Option("--format", help="npz, csv, gmr or beyondmimic; default: by the extension, npz in a folder."),
    ] = "",
    jobs: Annotated[int, typer.Option(min=1, help="Files to process in parallel.")] = os.cpu_count() or 1,
    retargeter: Annotated[str, typer.Option(help="Retargeter.")] = DEFAULTS["retarget"],
    settings: Set = None,
    json_: Json = False,
) -> None:
    """Fit a person's motion, or many, to the G1."""
    from exoactor_core.formats import ROBOT_FORMATS, robot_format, save_robot
    from exoactor_pose.importers import load_human

    if format_ and format_ not in ROBOT_FORMATS:
        raise BadInput(f"--format {format_} is not one of {', '.join(ROBOT_FORMATS)}.")
    backends = Backends(settings, retarget=retargeter)
    if output.is_dir() or not output.suffix:
        check_folder(output)
        retarget_many(human, output, format_ or "npz", jobs, backends, json_)
        return
    if len(human) > 1 or human[0].is_dir():
        raise BadInput(f"Several motions cannot be written to one file, {output}: name a folder with -o.")
    format_ = format_ or robot_format(output)
    check_file(output, f".{ROBOT_FORMATS[format_].rpartition('.')[2]}")  # .beyondmimic.npz is an .npz, too
    motion = load_human(human[0])
    with progress_bars(json_) as bars:
        result = InProcessStages(backends.load).retarget(motion, bars("retarget"))
    save_or_rescue(lambda path: save_robot(result.motion, path, format_), output)
    print_metrics(result.metrics, json_)


def retarget_many(human: list[Path], output: Path, format_: str, jobs: int, backends: Backends, as_json: bool) -> None:
    """Retarget many motions into a folder; those that fail are listed at the end."""
    from exoactor.batch import convert, plan

    files = plan(human, output, format_)
    with progress_bars(as_json) as bars:
        result = convert(files, backends.names["retarget"], backends.options["retarget"], jobs, bars("retarget"))
    figures = {
        "motions": {str(files[path]): metrics for path, metrics in result.done.items()},
        "failed": {str(path): reason for path, reason in result.failed.items()},
    }
    if not as_json:
        stdout.print(f"{len(result.done)} of {len(files)} motions are in {output}.", soft_wrap=True)
        for path, metrics in sorted(result.done.items()):
            for note in metrics.get("notes", ()):
                stdout.print(f"  {path}: {note}", soft_wrap=True)
    elif not result.failed:
        print_json(figures)
    if result.failed:
        reasons = (why if str(path) in why else f"{path}: {why}" for path, why in sorted(result.failed.items()))
        listed = "\n".join(f"  {reason}" for reason in reasons)
        error = BadInput(f"{len(result.failed)} of {len(files)} motions could not be retargeted:\n{listed}")
        error.metrics = figures
        raise error


@app.command(epilog="Example: exoactor track wave_robot.npz --report out.json --video out.mp4")
def track(
    robot: RobotFile,
    policy: Policy = "exoactor",
    fps: Fps = None,
    human: Annotated[Path | None, typer.Option(help="Human motion, for policies that follow people.")] = None,
    report: Annotated[Path | None, output_file("--report", help="Report to write.", ending=".json")] = None,
    output: Annotated[
        Path | None, output_file("-o", "--output", help="Simulated motion to write.", ending=".npz")
    ] = None,
    video: Annotated[
        Path | None, output_file("--video", help="Video of the simulated G1 to write.", ending=".mp4")
    ] = None,
    settings: Set = None,
    json_: Json = False,
) -> None:
    """Track a motion in headless MuJoCo, faster than real time."""
    from exoactor_control.policy.spec import SHIPPED
    from exoactor_core.formats import load_robot
    from exoactor_core.render import render_motion
    from exoactor_core.video import Video
    from exoactor_pose.importers import load_human

    motion, person = load_robot(robot, fps), None if human is None else load_human(human)
    backends = Backends(settings, policy)
    with progress_bars(json_) as bars:
        result = backends.load("track")(motion, bars("track"), human=person)
        add_notes(result.metrics, motion, person)
        if report is not None:
            save_or_rescue(lambda path: save_json(path, result.metrics), report)
        if output is not None:
            save_or_rescue(result.motion.save, output)
        if video is not None:
            frames = render_motion(result.motion, ghost=motion, progress=bars("video"))
            save_or_rescue(Video.from_frames(frames, 30.0).save, video)
    correctable = policy == SHIPPED and motion.correction is None
    advice = f" 'exoactor correct {robot}' searches for commands with which it succeeds, in minutes."
    _print_tracking(result.metrics, json_, "Tracking failed", advice if correctable else "")


def _print_tracking(metrics: Metrics, as_json: bool, failure: str, advice: str = "") -> None:
    """Print the figures of a tracked motion; raises `TrackingFailed` where it failed."""
    failed = None if metrics["success"] else TrackingFailed(f"{failure}: {metrics['reason']}.{advice}")
    print_metrics(metrics, as_json, failed)


@app.command(epilog="Example: exoactor correct kick.npz -o kick_corrected.npz")
def correct(
    robot: RobotFile,
    output: Annotated[
        Path, output_file("-o", "--output", help="Motion with the reference correction to write.", ending=".npz")
    ] = Path("corrected.npz"),
    policy: Policy = "exoactor",
    fps: Fps = None,
    tries: Annotated[int, typer.Option(min=1, help="Maximum number of reference corrections to try.")] = 3,
    settings: Set = None,
    json_: Json = False,
) -> None:
    """Find a reference correction for a motion at which the tracker fails; takes minutes."""
    from exoactor_core.formats import load_robot

    motion = load_robot(robot, fps)
    backends = Backends(settings, policy)
    with progress_bars(json_) as bars:
        result = backends.load("track").correct(motion, tries, bars("correct"))
    add_notes(result.metrics, motion)
    save_or_rescue(result.corrected.save, output)
    _print_tracking(result.metrics, json_, "Tracking fails with the correction, too")


@app.command(epilog="Example: exoactor train-tracker -o training --motions my_motions --hours 2")
def train_tracker(
    output: Annotated[Path, output_folder("-o", "--output", help="Training folder, resumed if it exists.")] = Path(
        "training"
    ),
    motions: Annotated[list[Path] | None, typer.Option(help="Robot motions: .npz, or a folder. Repeatable.")] = None,
    teacher: Annotated[
        list[str] | None,
        typer.Option(help="Tracker with TWIST2's layout (.onnx) to imitate where it succeeds. Repeatable."),
    ] = None,
    people: Annotated[
        list[Path] | None,
        typer.Option(help="Recordings of people to retarget: .bvh, AMASS .npz, or a folder. Repeatable."),
    ] = None,
    hours: Annotated[float, typer.Option(help="Hours of generated references.")] = 10.0,
    samples: Annotated[float, typer.Option(help="Total control steps of training.")] = 1e8,
    seed: Annotated[int, typer.Option(help="Random seed.")] = 1,
    device: Annotated[str, typer.Option(help="cpu: MuJoCo in threads; cuda: MuJoCo Warp on a GPU.")] = "cpu",
    json_: Json = False,
) -> None:
    """Train a tracker in MuJoCo, starting from the shipped one."""
    try:
        from exoactor_control.training.train import train
    except ImportError as error:
        raise missing_extra("Training", error.name or "a library", error) from None
    with progress_bars(json_) as bars:
        result = train(
            output, motions or [], teacher or [], people or [], hours, samples, seed, device, progress=bars("train")
        )
    print_metrics(result, json_)


@app.command(epilog="Example: exoactor up policy:=pd rviz:=true")
def up(
    arguments: Annotated[list[str] | None, typer.Argument(metavar="[NAME:=VALUE]...", help="Launch arguments.")] = None,
    demo: Annotated[
        str, typer.Option(metavar="TASK", help="Run one task in simulation, write demo.mp4, and exit.")
    ] = "",
) -> None:
    """Start the ROS graph, with the arguments of launch/bringup.launch.py."""
    from exoactor import up as starter

    if demo:
        raise typer.Exit(starter.demo(demo, arguments or [], import_client()))
    import_ros("rclpy")  # once here, not in each node
    raise typer.Exit(starter.up(arguments or []))


@app.command(epilog='Example: exoactor send "squat twice" --execute sim')
def send(
    task: TaskArg = "",
    plan: Plan = None,
    image: Image = None,
    scene: SceneFile = None,
    execute: Annotated[str, typer.Option(help="How far to go: rehearse, sim or robot.")] = "rehearse",
    approve: Annotated[bool, typer.Option(help="Wait for the approve service after the rehearsal.")] = False,
    demo: Annotated[bool, typer.Option(help="Write demo.mp4 into the run folder.")] = False,
    namespace: Namespace = "",
    network: Network = "localhost",
    detach: Annotated[
        bool, typer.Option("--detach", help="Return when the task is accepted, and leave it running.")
    ] = False,
    json_: Json = False,
) -> None:
    """Send a task to the running graph and show its progress; Ctrl-C, SIGTERM or closing the terminal cancels it."""
    if demo and detach:
        raise BadInput("--demo needs the end of the task, which --detach does not wait for: 'exoactor show' writes it.")
    os.environ.update(environment(network))
    request = read_request(task, plan, image, scene)  # so that bad input is reported here
    client = import_client()
    with progress_bars(json_) as bars:
        on_feedback = stage_bars(bars)
        result = client.send_task(
            request.instruction,
            scene_image=None if image is None else image.read_bytes(),
            scene=request.scene,
            execute=execute,
            require_approval=approve,
            on_feedback=on_feedback,
            on_wait=lambda text: on_feedback("wait", 0.0, text),
            plan=request.plan,
            namespace=robot_name(namespace),
            detach=detach,
        )
        folder = Path(result.run_folder)
        if demo and result.run_folder:
            write_demo(RunFolder(folder), bars("demo"), failed=not result.success)
    if result.run_folder and not json_:
        print_report(folder, vars(result))
    if not result.success:
        error = error_of(result.error_code, result.reason)
        error.metrics = vars(result)
        raise error
    if json_:
        print_json(vars(result))
    elif detach:
        stdout.print("The task is accepted.")


@app.command(epilog="Example: exoactor call stop")
def call(
    service: Annotated[str, typer.Argument(help=f"One of {', '.join(SERVICES)}.")],
    namespace: Namespace = "",
    network: Network = "localhost",
    json_: Json = False,
) -> None:
    """Call a service of the running graph and print its answer, e.g. stop, which damps the robot's motors."""
    os.environ.update(environment(network))
    answer = import_client().call_service(service, robot_name(namespace))
    if json_:
        print_json({"answer": answer})
    else:
        stdout.print(answer, soft_wrap=True)


def import_client() -> Any:
    """Import `exoactor.client`; raises as `import_ros`."""
    return import_ros("exoactor.client")


def import_ros(module: str) -> Any:
    """Import a module that needs ROS; raises `Missing` if ROS is not installed, and as `check_environment`."""
    from exoactor_core.environment import check_environment

    check_environment()
    try:
        return import_module(module)
    except ImportError as error:
        raise Missing(
            f"ROS 2 is not importable here ({error}): run 'make env', or source your ROS 2 workspace."
        ) from None


@app.command(epilog="Example: exoactor show ~/.exoactor/runs/20260101T120000-squat-twice")
def show(folder: Annotated[Path, typer.Argument(help="Run folder.")], json_: Json = False) -> None:
    """Write a run folder's demo.mp4: video, skeleton, retargeted G1 and tracked G1 side by side."""
    if not folder.is_dir():
        raise BadInput(f"There is no run folder {folder}.")
    check_file(folder / "demo.mp4", ".mp4")
    with progress_bars(json_) as bars:
        path = write_demo(RunFolder(folder), bars("demo"))
    if json_:
        print_json({"video": str(path)})
    else:
        stdout.print(str(path), soft_wrap=True)


@app.command(epilog="Example: exoactor doctor --json")
def doctor(json_: Json = False) -> None:
    """Report what is installed, what is missing, and how to get it."""
    from exoactor.doctor import checks

    results = checks()
    figures = {"checks": [vars(c) for c in results]}
    if not json_:
        table = Table(box=None, show_header=False, pad_edge=False)
        for check in results:
            mark = ("ok", "green") if check.ok else ("missing", "red") if check.needed else ("absent", "yellow")
            table.add_row(Text(*mark), check.name, check.detail)
        stdout.print(table)
    if any(c.needed and not c.ok for c in results):
        error = Missing("Something that every run needs is missing: see above.")
        error.metrics = figures
        raise error
    if json_:
        print_json(figures)


@app.command("options", epilog="Example: exoactor options generate kling")
def options_(
    stage: Annotated[str, typer.Argument(help="generate, judge, estimate, retarget or track.")],
    backend: Annotated[str, typer.Argument(help="Backend; default: the one that commands use.")] = "",
    json_: Json = False,
) -> None:
    """List the options of a backend for --set: default, values and meaning."""
    backends = Backends(None, "", **{stage: backend} if backend else {})
    if stage not in backends.options:
        raise BadInput(f"There is no stage '{stage}': there are {', '.join(backends.options)}.")
    if backend and stage == "judge":
        raise BadInput("There is one judge, which has no backends: leave out the backend.")
    fields = backends.class_of(stage).Options.model_fields
    if json_:
        keys = ("default", "values", "help")
        print_json(
            {n: dict(zip(keys, (f.default, allowed(f), description(f)), strict=True)) for n, f in fields.items()}
        )
        return
    table = Table("option", "default", "values", "meaning", box=None, pad_edge=False)
    for name, field in fields.items():
        table.add_row(name, str(field.default), allowed(field), description(field))
    stdout.print(table)


def main() -> None:
    """Entry point of the console script."""
    sys.exit(console.main(app))


if __name__ == "__main__":
    main()
