from pathlib import Path

import mujoco
import numpy as np
import pytest
import yaml

from exoactor_core.errors import BadInput
from exoactor_core.everyday import COLORS, EVERYDAY
from exoactor_core.scene import Scene, everyday, joined
from exoactor_core.scene_mjcf import add_objects, articulated, check, from_mjcf, initial_qpos, to_mjcf

EXAMPLES = sorted((Path(__file__).parents[3] / "examples" / "scenes").glob("*.yaml"))
CUBE = np.array([[x, y, z] for x in (0, 1) for y in (0, 1) for z in (0, 1)], float)
CUBE_FACES = [
    (0, 1, 3),
    (0, 3, 2),
    (4, 6, 7),
    (4, 7, 5),
    (0, 4, 5),
    (0, 5, 1),
    (2, 3, 7),
    (2, 7, 6),
    (0, 2, 6),
    (0, 6, 4),
    (1, 5, 7),
    (1, 7, 3),
]


def write_cube(path, faces):
    lines = [f"v {x} {y} {z}" for x, y, z in CUBE] + [f"f {a + 1} {b + 1} {c + 1}" for a, b, c in faces]
    path.write_text("\n".join(lines))


def all_kinds():
    places = [(1.5 + i % 5 * 1.5, i // 5 * 2.5, 0) for i in range(len(EVERYDAY))]
    return joined([everyday(category, pos=pos, yaw=0.3) for category, pos in zip(EVERYDAY, places, strict=True)])


def scene_of(**change):
    return {"objects": [{"id": "thing", "category": "thing", "shapes": [{"kind": "box", "size": [1, 1, 1]}]} | change]}


def write(tmp_path, data):
    (tmp_path / "scene.yaml").write_text(yaml.safe_dump(data))
    return tmp_path / "scene.yaml"


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_the_examples_are_sound(path):
    check(Scene.load(path))


def test_a_scene_comes_back_from_its_file(tmp_path):
    scene = all_kinds()
    scene.save(tmp_path / "scene.yaml")
    assert Scene.load(tmp_path / "scene.yaml") == scene


@pytest.mark.parametrize("category", ["bottle", "cup", "ball", "basket", "box"])
def test_what_looks_the_same_from_all_sides_is_round(category):
    assert everyday(category).is_round == (category in ("bottle", "cup", "ball"))


def test_an_object_without_shapes_is_an_everyday_one_with_what_else_is_given(tmp_path):
    table = {"id": "desk", "category": "table", "size": [1, 2, 0.5], "friction": 0.2}
    (desk,) = Scene.load(write(tmp_path, {"objects": [table]})).objects
    np.testing.assert_allclose(desk.bounds, [[-0.5, -1, 0], [0.5, 1, 0.5]], atol=1e-6)
    assert (desk.friction, desk.movable, desk.supports) == (0.2, False, True)


@pytest.mark.parametrize("category", EVERYDAY)
def test_everyday_objects_have_their_sizes_and_rest_on_the_floor(category):
    thing = everyday(category, pos=(2, 0, 0.01 if category == "door" else 0))
    check(joined([thing]))
    low, high = thing.bounds
    assert low[2] == pytest.approx(0, abs=1e-6)
    width = high - low
    usual = np.array(EVERYDAY[category].size)
    if category == "chair":
        usual[2] += 0.4
    elif category == "door":
        usual[0] += 0.1  # handles
    elif category == "drawer":
        usual[0] += 0.03
    assert width == pytest.approx(usual, rel=0.09)  # the corners of a basket's eight walls stand out


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (scene_of(shapes=[{"kind": "torus", "size": [1, 1, 1]}]), "objects.0.shapes.0.kind"),
        (scene_of(shapes=[{"kind": "box", "size": [1, -1, 1]}]), "greater than 0"),
        (scene_of(shapes=[{"kind": "cylinder", "size": [1, 2, 1]}]), "is round"),
        (scene_of(shapes=[{"kind": "mesh", "size": [1, 1, 1]}]), "path of its file"),
        (scene_of(pos=[0, float("nan"), 0]), "finite number"),
        (scene_of(mass=-1), "greater than 0"),
        (scene_of(quat_wxyz=[1, 1, 0, 0]), "norm is 1.414"),
        (scene_of(weight=1), "weight"),
        (scene_of(articulation={"kind": "hinge", "axis": [0, 0, 1], "limits": [0, 1]}), "set movable to false"),
        ({"objects": scene_of()["objects"] * 2}, "two objects have the id 'thing'"),
        ({"objects": [{"id": "x", "category": "unicorn"}]}, "not an everyday object"),
        ([1, 2], "a mapping with the list 'objects'"),
    ],
)
def test_what_is_no_scene_gets_one_sentence(tmp_path, data, words):
    with pytest.raises(BadInput, match=words) as caught:
        Scene.load(write(tmp_path, data))
    assert "\n" not in str(caught.value)


def test_what_is_no_yaml_gets_one_sentence(tmp_path):
    (tmp_path / "scene.yaml").write_text("objects: [}")
    with pytest.raises(BadInput, match="not valid YAML"):
        Scene.load(tmp_path / "scene.yaml")


def test_objects_are_found_by_what_they_are_called():
    cups = [everyday("cup", f"{color}_cup", pos=(1, y, 0)) for y, color in enumerate(("red", "blue"))]
    scene = joined([everyday("table", pos=(3, 0, 0)), *cups])
    assert scene.find("the red cup").id == "red_cup"
    assert scene.find("Table").id == "table"
    with pytest.raises(BadInput, match=r"Which cup\? The scene has red_cup and blue_cup"):
        scene.find("the cup")
    with pytest.raises(BadInput, match="has no 'bottle': it has table, red_cup, blue_cup"):
        scene.find("the bottle")


def test_an_object_is_found_by_its_colour_unless_its_name_says_one():
    red, blue = (everyday("cup", name, color=COLORS[color]) for name, color in (("mug", "red"), ("blue_cup", "red")))
    scene = joined([red, blue, everyday("bottle")])
    assert scene.find("the red cup").id == "mug"
    assert scene.find("blue cup").id == "blue_cup"
    assert scene.find("blue bottle").id == "bottle"  # as everyday bottles are drawn
    with pytest.raises(BadInput, match="has no 'green cup'"):
        scene.find("green cup")


@pytest.mark.parametrize(
    ("things", "words"),
    [
        (
            [everyday("box", pos=(1, 0, 0)), everyday("ball", pos=(1, 0, 0.1))],
            "box and the ball stand",
        ),
        ([everyday("table", pos=(2, 0, 0)), everyday("shelf", pos=(2, 0, 0))], "table and the shelf stand"),
        ([everyday("box", pos=(1, 0, -0.02))], "2.0 cm in the floor"),
        ([everyday("box", pos=(1, 0, 0.05))], "box hangs in the air"),
        ([everyday("box", pos=(1, 0, 0)), everyday("cup", pos=(1.17, 0, 0.1))], "cup hangs in the air"),
        ([everyday("chair", pos=(0.3, 0, 0))], "where the robot starts"),
    ],
)
def test_what_cannot_stand_so_is_refused(things, words):
    with pytest.raises(BadInput, match=words):
        check(joined(things))


@pytest.mark.parametrize(
    ("thing", "words"),
    [
        (everyday("box", pos=(1, 0, 0), mass=3.5), "weighs 3.5 kg"),
        (everyday("table", pos=(1, 0, 0)), "is fixed"),
        (everyday("mark", pos=(1, 0, 1.8)), "1.80 m high"),
        (everyday("box", pos=(5, 0, 0)), "4.9 m away"),
    ],
)
def test_what_the_robot_cannot_lift_or_reach_is_refused(thing, words):
    check(joined([thing]), area=0)
    with pytest.raises(BadInput, match=words):
        check(joined([thing]), lifted=[thing.id])


def test_what_stands_far_from_the_edge_is_out_of_reach():
    table = everyday("table", pos=(2, 0, 0), size=(2, 2, 0.7))
    scene = joined([table, everyday("cup", pos=(2, 0, 0.7)), everyday("can", pos=(1.2, 0, 0.7))])
    check(scene, reached=["can"])
    with pytest.raises(BadInput, match=r"cup is out of reach: it stands 0\.96 m from the edge of the table"):
        check(scene, reached=["cup"])


def test_mjcf_keeps_everything(tmp_path):
    write_cube(tmp_path / "cube.obj", CUBE_FACES)
    shape = {"kind": "mesh", "size": [0.2, 0.3, 0.4], "pos": [0, 0, 0.2], "mesh": str(tmp_path / "cube.obj")}
    crate = everyday("box", "crate", pos=(1.5, -3, 0), shapes=[shape])
    scene = joined([*all_kinds().objects, crate])
    to_mjcf(scene, tmp_path / "scene.xml")
    back = from_mjcf(tmp_path / "scene.xml")
    assert back.ids == scene.ids
    check(back)
    for one, other in zip(back.objects, scene.objects, strict=True):
        np.testing.assert_allclose(one.bounds, other.bounds, atol=1e-5)
        np.testing.assert_allclose(one.pose, other.pose, atol=1e-5)
        assert one.mass == pytest.approx(other.mass, rel=1e-5)
        kept = {"category", "supports", "contains", "movable", "friction", "rolling_friction"}
        assert one.model_dump(include=kept) == other.model_dump(include=kept)
        assert (one.articulation is None) == (other.articulation is None)


def test_an_articulation_starts_where_it_says_and_comes_back_from_mjcf(tmp_path):
    door = everyday("door", pos=(2, 1, 0), yaw=0.5)
    ajar = door.model_copy(update={"articulation": door.articulation.model_copy(update={"initial": 0.4})})
    scene = joined([ajar])
    spec = mujoco.MjSpec()
    add_objects(spec, scene, "object/")
    model = spec.compile()
    data = mujoco.MjData(model)
    mujoco.mj_kinematics(model, data)
    assert [*data.qpos, *initial_qpos(scene)] == pytest.approx([0.4, 0.4])
    np.testing.assert_allclose(data.xpos[1], articulated(ajar, 0.4).pos, atol=1e-9)
    assert model.jnt_range[0] == pytest.approx([-1.75, 1.75])
    to_mjcf(scene, tmp_path / "scene.xml")
    (back,) = from_mjcf(tmp_path / "scene.xml").objects
    np.testing.assert_allclose(back.pose, ajar.pose, atol=1e-5)
    assert back.articulation.initial == pytest.approx(0.4)


def test_a_mesh_that_is_missing_or_open_is_refused(tmp_path):
    shape = {"kind": "mesh", "size": [0.2, 0.2, 0.2], "pos": [0, 0, 0.1], "mesh": "cube.obj"}
    path = write(tmp_path, scene_of(shapes=[shape], pos=[1, 0, 0]))
    with pytest.raises(BadInput, match="There is no mesh"):
        check(Scene.load(path))
    write_cube(tmp_path / "cube.obj", CUBE_FACES[:-1])
    with pytest.raises(BadInput, match="is open: 3 of its edges"):
        check(Scene.load(path))


def test_a_solid_mesh_is_taken(tmp_path):
    write_cube(tmp_path / "cube.obj", CUBE_FACES)
    shape = {"kind": "mesh", "size": [0.2, 0.2, 0.2], "pos": [0, 0, 0.1], "mesh": "cube.obj"}
    check(Scene.load(write(tmp_path, scene_of(shapes=[shape], pos=[1, 0, 0]))))


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ('<body name="egg"><geom type="ellipsoid" size=".1 .1 .2"/></body>', "'egg' .* ellipsoid"),
        ('<body name="arm"><joint type="ball"/><geom size=".1"/></body>', "'arm' .* is a ball"),
        (
            '<body name="a"><freejoint/><geom size=".1"/><body name="b"><joint/><geom size=".1"/></body></body>',
            "'b' .* moves against another",
        ),
        ("<body", "not an MJCF"),
    ],
)
def test_an_mjcf_that_is_no_scene_is_refused(tmp_path, body, words):
    (tmp_path / "x.xml").write_text(f"<mujoco><worldbody>{body}</worldbody></mujoco>")
    with pytest.raises(BadInput, match=words):
        from_mjcf(tmp_path / "x.xml")
