"""Plans: their schema and file, the rules, the prompt, and language models as planners."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest

from exoactor_core.errors import BadInput, Cancelled, Missing, Refused
from exoactor_core.files import load_json
from exoactor_core.stages import GenerateRequest
from exoactor_gen import http_client as web
from exoactor_gen.mannequin.actions import describe, movements_of
from exoactor_gen.mannequin.choreography import Choreography, plan_of
from exoactor_gen.mannequin.language import Reading, parse
from exoactor_gen.mannequin.movement import KINDS
from exoactor_gen.options import VideoModelOptions
from exoactor_gen.plan import Draft, Plan, schema
from exoactor_gen.planning.planners import Endpoint, auto, load_planner, planned, verbatim
from exoactor_gen.video_models.prompt import SHIPPED, Template

WALK = {
    "verb": "walk",
    "description": "walks forward two metres",
    "seconds": 4.0,
    "direction": "forward",
    "distance": 2,
}
PLAN = {"instruction": "go there", "actions": [WALK]}
TASKS = [
    "walk forward two metres, then wave with your right hand",
    "turn left 90 degrees, then squat twice",
    "sit down, wait for 3 seconds, then stand up",
    "kick the ball with your left foot",
    "pick up the box",
    "walk around the box to the right",
    "walk to the table and put your right hand on it",
    "sweep the floor",
    "pick up the bottle from the table, then carry it to the chair and place it on the floor",
    "sit down on the chair",
    "raise your arms to the side, look left, then right",
    "turn around and push the door with both hands",
    "point to the left, then bow",
    "clap five times, nod twice and stand still for two seconds",
]


def chosen(name, model="", url=""):
    return load_planner(VideoModelOptions(planner=name, planner_model=model, planner_url=url))


# --- schema and file --------------------------------------------------------------------------------------------------


def test_json_round_trip(tmp_path):
    plan = plan_of(TASKS[0])
    assert Plan.read(plan.data()) == plan
    path = tmp_path / "plan.json"
    path.write_text(json.dumps(plan.data()))
    assert Plan.read(load_json(path)) == plan
    assert plan.seconds == pytest.approx(sum(a["seconds"] for a in plan.data()["actions"]))


@pytest.mark.parametrize(
    ("data", "said"),
    [
        ("nonsense", "Invalid JSON"),
        ("[]", "not valid"),
        ({"actions": [WALK]}, "at instruction: Field required"),
        ({**PLAN, "actions": []}, "at actions"),
        ({**PLAN, "extra": 1}, "at extra"),
        ({**PLAN, "actions": [{**WALK, "side": "up"}]}, "at actions.0.side: Input should be 'left', 'right' or 'both'"),
        ({**PLAN, "actions": [WALK, {**WALK, "seconds": 0}]}, "at actions.1.seconds"),
        ({**PLAN, "actions": [{**WALK, "seconds": float("nan")}]}, "at actions.0.seconds"),
        ({**PLAN, "actions": [{**WALK, "verb": "WALK!"}]}, "at actions.0.verb"),
    ],
)
def test_a_wrong_plan_is_told_where(data, said):
    with pytest.raises(BadInput, match=said) as caught:
        Plan.read(data)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"side": "left", "description": "raises the right hand"}, "the description says right, but side is left"),
        ({"distance": 2.0, "description": "walks 1 metres in 3 steps"}, "says 1, but distance is 2: change both"),
        ({"angle": 90.0, "description": "turns 45 degrees"}, "says 45, but angle is 90"),
        ({"count": 2, "description": "claps 3 times"}, "says 3, but count is 2"),
        ({"side": "left", "description": "reaches to the right with the left hand"}, ""),
        ({"side": "right", "direction": "left", "description": "reaches to the left"}, ""),
        ({"distance": 2.0, "count": 4, "description": "walks two metres in 4 steps"}, ""),
        ({"distance": 1.5, "count": 2, "description": "walks 1.5 m up to the table"}, ""),
    ],
)
def test_an_edit_of_half_an_action_is_not_lost(changes, said):
    """What video models read and what the mannequin reads must say the same."""
    data = {**PLAN, "actions": [{"verb": "walk", "seconds": 4, **changes}]}
    if not said:
        Plan.read(data)
        return
    with pytest.raises(BadInput, match=rf"^The plan is not valid at actions.0: {said}" if "but side" in said else said):
        Plan.read(data)


def test_verb_as_language_models_write_it():
    assert Plan.read({**PLAN, "actions": [{**WALK, "verb": "Pick_up "}]}).actions[0].verb == "pick up"


def test_missing_file(tmp_path):
    with pytest.raises(BadInput, match=r"There is no file .*none.json"):
        Plan.read(load_json(tmp_path / "none.json"))


def test_a_gesture_meanwhile_is_for_feet_that_walk():
    actions = [{"verb": "squat", "description": "squats and waves", "seconds": 3.0, "meanwhile": "wave"}]
    with pytest.raises(BadInput, match="'squat' and 'wave' are not done at the same time"):
        movements_of(Plan.read({"instruction": "squat", "actions": actions}))


def test_schema_is_in_the_subset_of_structured_output():
    def walk(value):
        assert {"$ref", "$defs", "default", "minLength", "maximum", "title"}.isdisjoint(value)
        if value.get("type") == "object":
            assert value["additionalProperties"] is False
            assert value["required"] == list(value["properties"])
            for inner in value["properties"].values():
                walk(inner)
        for inner in [value.get("items"), *value.get("anyOf", [])]:
            if inner:
                walk(inner)

    walk(schema())
    assert set(schema()["properties"]["actions"]["items"]["properties"]) == {
        "verb",
        "description",
        "seconds",
        "side",
        "direction",
        "distance",
        "gap",
        "angle",
        "count",
        "part",
        "meanwhile",
        "objects",
    }


def choreographed(plan):
    return Choreography(Reading(movements_of(plan), plan=plan))


# --- rules ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("task", TASKS)
def test_the_mannequin_does_the_same_by_words_and_by_plan(task):
    assert tuple(choreographed(plan_of(task)).movements) == parse(task)


def test_changed_times_change_the_mannequins_stay_or_pace():
    plan = plan_of("wave, then walk two metres")
    for factor in (0.8, 1.3):
        changed = plan.model_copy(
            update={
                "actions": tuple(a.model_copy(update={"seconds": round(factor * a.seconds, 2)}) for a in plan.actions)
            }
        )
        done = choreographed(changed).seconds
        assert done == pytest.approx([a.seconds for a in changed.actions], abs=0.35)


def test_what_the_mannequin_cannot_do():
    plan = Plan.read({**PLAN, "actions": [WALK, {**WALK, "verb": "juggle"}]})
    with pytest.raises(BadInput, match="step 2 of the plan, 'juggle': it knows walk"):
        choreographed(plan)
    with pytest.raises(BadInput, match="takes no angle"):
        choreographed(Plan.read({**PLAN, "actions": [{**WALK, "angle": 90}]}))


@pytest.mark.parametrize(
    ("task", "said"),
    [
        ("walk one step back", "walks backward 1 step"),
        ("walk 11 steps", "walks forward 11 steps"),
        ("walk one metre", "walks forward 1 metre"),
        ("turn right 45 degrees", "turns on the spot to the right 45 degrees"),
        ("wave with both hands slowly", "raises both hands and waves slowly"),
        ("point to the left", "points to the left with the left arm"),
        ("pick up the box with your left hand", "bends down, picks up the box with the left hand and straightens up"),
        ("sit down, wait for 3 seconds", "sits down as if on a chair, stays seated for 3 seconds and stands up again"),
        ("kick the ball once", "kicks forward with the right foot against the ball once"),
    ],
)
def test_description(task, said):
    assert describe(parse(task)[0]) == said


def test_a_plan_says_what_pushes():
    low, high = plan_of("push the box, then push the table").actions
    assert low.description == "pushes the box forward with the right foot"
    assert high.description == "pushes the table forward with both hands"


def test_every_kind_of_action_has_a_description():
    for kind in KINDS:
        if kind != "rise":
            more = {
                "turn": " left",
                **dict.fromkeys(("look", "twist"), " left"),
                **dict.fromkeys(("touch", "place", "carry", "hold", "nudge", "open", "close", "wipe"), " the box"),
            }
            verb = {"hands on hips": "put ", "hands on head": "put ", "lower": "raise both arms, nod and "}.get(
                kind, ""
            )
            assert describe(parse(verb + kind + more.get(kind, ""))[-1])


def test_verbatim_takes_the_words_as_they_stand():
    plan = verbatim("Sweep the floor slowly, then put the broom away. Bow!")
    assert [a.description for a in plan.actions] == [
        "does this: Sweep the floor slowly",
        "does this: put the broom away",
        "does this: Bow",
    ]
    assert [a.verb for a in plan.actions] == ["sweep", "put", "bow"]
    with pytest.raises(BadInput, match="empty"):
        verbatim(" . ")
    assert verbatim("跳舞 跳舞").actions[0].verb == "do"


def test_any_sentence_is_planned_for_a_video_model():
    def seconds(plan):
        return [a.seconds for a in plan.actions]

    plan = auto("walk forward two metres, open the window and wave", 10.0)
    assert [a.verb for a in plan.actions] == ["walk", "open", "wave"]
    assert plan.actions[0].distance == 2.0
    assert plan.actions[1].description == "does this: open the window"
    assert plan.actions[0].seconds < plan_of("walk forward two metres").seconds  # a person is quicker
    assert auto("open the window", 5.0).within(5.0).seconds == 4.0
    assert sum(seconds(auto("walk two metres, then climb stairs", 5.0))) <= 5.0
    assert auto("wave for 3 seconds", 9.0).actions[0].seconds > 3.0
    for whole in ("don't walk and wave", "juggle with a ball and a box", "dance to the left, to the right"):
        assert [a.description for a in auto(whole, 10.0).actions] == [f"does this: {whole}"]
    assert auto("stop walking", 5.0).actions[0].description == "does this: stop walking"
    with pytest.raises(BadInput, match="has 506 characters, but 229"):
        auto("very " * 100 + "slowly", 5.0)


def test_planned():
    rules = chosen("rules")
    assert planned(GenerateRequest("nod"), rules, 8.0) == plan_of("nod")
    assert planned(GenerateRequest("never read", None, PLAN), rules, 8.0) == Plan.read(PLAN)
    with pytest.raises(BadInput, match=r"'juggle'.*option planner"):
        planned(GenerateRequest("juggle"), rules, 8.0)
    with pytest.raises(BadInput, match="instruction is empty"):
        planned(GenerateRequest("  "), chosen("verbatim"), 8.0)
    assert Plan.read(PLAN).within(3.5).seconds == pytest.approx(3.5)
    thirds = Plan.read({**PLAN, "actions": [WALK] * 3}).within(10.0)
    assert thirds.seconds <= 10.0
    assert thirds.within(10.0) == thirds  # sent again, it is done as it is
    with pytest.raises(BadInput, match=r"takes 4.0 s, but"):
        Plan.read(PLAN).within(2.0)


# --- prompt -----------------------------------------------------------------------------------------------------------


def test_prompt_says_what_motion_capture_needs():
    plan = plan_of("walk forward two metres, then kick the ball with your left foot")
    prompt = Template.load().fill(plan, 10)
    for words in (
        "One continuous 10-second shot at real-time speed",
        "Exactly one adult",
        "seen from about four metres, from the side",
        "whole body from head to soles",
        "tripod 1.2 metres above the floor and never moves",
        "tight, plain sports clothing",
        "visible floor",
        "The room holds only: ball.",
        "From 0.0 s to 4.1 s the person walks forward 2 metres.",
        "kicks forward with the left foot",
        "Until the end at 10 s the person stands still",
    ):
        assert words in prompt.text
    assert "camera movement" in prompt.negative
    assert prompt.template == "capture 2"
    assert "{" not in prompt.combined
    alone = Template.load().fill(plan_of("nod"), 5).text
    assert "at an angle from the front" in alone
    assert "room holds" not in alone
    with_image = Template.load().fill(plan, 10, True).text
    assert "begins with the given picture" in with_image
    assert "sports clothing" not in with_image


def test_subject_of_a_description_is_not_said_twice():
    plan = Plan.read({**PLAN, "actions": [{**WALK, "description": "The person walks to the {door}."}]})
    assert "the person walks to the {door}." in Template.load().fill(plan, 4).text


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("{camera_height} metres", "{height} metres", "unknown or broken"),
        ("version: 2", "version: one", "at version"),
        ("text: >-", "words: >-", "Field required|Extra"),
        ("name: capture", "name: [capture", "not valid YAML"),
    ],
)
def test_own_template(old, new, said, tmp_path):
    path = tmp_path / "own.yaml"
    path.write_text(SHIPPED.read_text().replace("name: capture", "name: own"))
    assert Template.load(path).fill(Plan.read(PLAN), 4).template == "own 2"
    path.write_text(SHIPPED.read_text().replace(old, new, 1))
    with pytest.raises(BadInput, match=said) as caught:
        Template.load(path).fill(Plan.read(PLAN), 4)
    assert "\n" not in str(caught.value)


# --- a language model behind an endpoint ------------------------------------------------------------------------------


@pytest.fixture
def endpoint(monkeypatch):
    """A server that gives the answers in ``answers`` one after the other; what was asked is in ``asked``."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            asked.append((self.path, self.headers, json.loads(self.rfile.read(int(self.headers["Content-Length"])))))
            status, message = answers.pop(0)
            body = json.dumps(message if status != 200 else {"choices": [{"message": message, "index": 0}]}).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    asked, answers = [], []
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    for name in ("OPENAI_API_KEY", "EXOACTOR_PLANNER_KEY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setattr(web, "FIRST_WAIT", 0.01)
    yield f"http://127.0.0.1:{server.server_port}/v1", asked, answers
    server.shutdown()
    server.server_close()


def draft(**changes):
    said = {"objects": [], **WALK, **changes}
    full = {name: said.get(name) for name in schema()["properties"]["actions"]["items"]["properties"]}
    return {"role": "assistant", "content": json.dumps({"actions": [full]})}


def test_endpoint_is_asked_for_structured_output(endpoint, monkeypatch):
    url, asked, answers = endpoint
    monkeypatch.setenv("EXOACTOR_PLANNER_KEY", "the-key")
    answers += [(429, {"error": {"message": "slow down"}}), (200, draft())]
    plan = chosen("endpoint", "some-model", url)("go there", np.zeros((8, 8, 3), np.uint8), 8.0, lambda: None)
    assert plan == Plan.read({**PLAN, "planner": "some-model"})
    path, headers, body = asked[-1]
    assert path == "/v1/chat/completions"
    assert headers["Authorization"] == "Bearer the-key"
    assert body["model"] == "some-model"
    assert body["response_format"]["json_schema"]["strict"] is True
    assert body["response_format"]["json_schema"]["schema"] == schema()
    words, image = body["messages"][1]["content"]
    assert "go there" in words["text"]
    assert image["image_url"]["url"].startswith("data:image/jpeg;base64,")
    assert "at most 8" in body["messages"][0]["content"]


def test_endpoint_that_errs_is_told_what_is_wrong(endpoint):
    url, asked, answers = endpoint
    answers += [(200, draft(seconds=-1)), (200, {"content": "Sure: ```json\n" + draft()["content"] + "\n```"})]
    assert Endpoint("m", url)("go there", None, 8.0, lambda: None).actions == Plan.read(PLAN).actions
    assert asked[0][1]["Authorization"] is None  # a server of one's own wants no key
    assert "actions.0.seconds" in asked[1][2]["messages"][-1]["content"]
    answers += [(200, {"content": "I cannot plan."})] * 3
    with pytest.raises(Refused, match=r"The language model m gave no valid plan in 3 tries. The answer is not valid"):
        Endpoint("m", url)("go there", None, 8.0, lambda: None)


def test_endpoint_that_refuses_or_speaks_otherwise(endpoint, monkeypatch):
    url, _, answers = endpoint
    answers += [(200, {"refusal": "I will not do that."})]
    with pytest.raises(Refused, match="refuses to plan this: I will not"):
        Endpoint("m", url)("go there", None, 8.0, lambda: None)
    answers += [(200, None)]
    with pytest.raises(Refused, match="is the URL right"):
        Endpoint("m", url)("go there", None, 8.0, lambda: None)
    answers += [(404, {"error": {"message": "The model m does not exist"}})]
    with pytest.raises(Refused, match="The model m does not exist"):
        Endpoint("m", url)("go there", None, 8.0, lambda: None)
    with pytest.raises(Missing, match="set EXOACTOR_PLANNER_KEY or OPENAI_API_KEY"):
        Endpoint("m")
    monkeypatch.setenv("OPENAI_API_KEY", "secret")
    assert Endpoint("m", url).web._key == ""  # OpenAI's key goes to OpenAI only
    assert Endpoint("m").web._key == "secret"


# --- a language model on this machine ---------------------------------------------------------------------------------


def characters():
    """A tokenizer to which every character is a token."""
    transformers = pytest.importorskip("transformers")
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers

    known = ["<s>", "</s>", *map(chr, range(32, 127)), "\n"]
    inner = Tokenizer(models.WordLevel({c: i for i, c in enumerate(known)}, unk_token="<s>"))
    inner.pre_tokenizer, inner.decoder = pre_tokenizers.Split("", "isolated"), decoders.Fuse()
    return transformers.PreTrainedTokenizerFast(tokenizer_object=inner, bos_token="<s>", eos_token="</s>")


def talker(tokenizer):
    """Settings of a language model."""
    from transformers import LlamaConfig

    return LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=16,
        intermediate_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        num_key_value_heads=2,
        max_position_embeddings=8192,
        bos_token_id=0,
        eos_token_id=1,
        pad_token_id=1,
    )


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    """A chat model of random weights that writes single characters, saved by the library."""
    transformers, tokenizer = pytest.importorskip("transformers"), characters()
    tokenizer.chat_template = (
        "{% for m in messages %}{{ m.role }}: {{ m.content }}\n{% endfor %}{% if add_generation_prompt %}a:{% endif %}"
    )
    import torch

    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("tiny")
    transformers.LlamaForCausalLM(talker(tokenizer)).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def seeing(tmp_path_factory):
    """The same as a model that takes images."""
    transformers, tokenizer = pytest.importorskip("transformers"), characters()
    tokenizer.add_special_tokens({"additional_special_tokens": ["<image>"]})
    import torch

    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("seeing")
    sight = transformers.CLIPVisionConfig(
        hidden_size=16, intermediate_size=16, num_hidden_layers=2, num_attention_heads=2, image_size=32, patch_size=16
    )
    image = tokenizer.convert_tokens_to_ids("<image>")
    config = transformers.LlavaConfig(vision_config=sight, text_config=talker(tokenizer), image_token_index=image)
    transformers.LlavaForConditionalGeneration(config).save_pretrained(folder)
    side = {"height": 32, "width": 32}
    transformers.LlavaProcessor(
        image_processor=transformers.CLIPImageProcessor(size=side, crop_size=side),
        tokenizer=tokenizer,
        patch_size=16,
        vision_feature_select_strategy="default",
        num_additional_image_tokens=1,
        chat_template="{% for m in messages %}{% for c in m.content %}{{ '<image>' if c.type == 'image' else c.text }}"
        "{% endfor %}\n{% endfor %}a:",
    ).save_pretrained(folder)
    return folder


def test_pattern_fits_plans_and_nothing_else():
    regex = pytest.importorskip("regex")
    from exoactor_gen.planning.local_planner import pattern

    shape = regex.compile(pattern(Draft.model_json_schema()))
    text = json.dumps({"actions": [json.loads(draft()["content"])["actions"][0]] * 2})
    assert shape.fullmatch(text)
    assert all(shape.fullmatch(text[:n], partial=True) for n in range(0, len(text), 7))
    for wrong in ("Sure!", text[:-1] + "x", text.replace("walk", "WALK", 1), text.replace("null", '"up"', 1)):
        assert not shape.fullmatch(wrong, partial=True)


@pytest.mark.timeout(120)
def test_even_a_random_model_writes_a_plan(tiny, monkeypatch):
    pytest.importorskip("transformers")
    from exoactor_gen.planning import local_planner

    monkeypatch.setattr(local_planner, "MAX_TOKENS", 4000)
    plan = chosen("local", str(tiny))("wave", None, 8.0, lambda: None)
    assert Plan.read(plan.data()) == plan
    assert plan.planner == str(tiny)


def test_local_model_that_takes_images_is_shown_the_scene(seeing, monkeypatch):
    from exoactor_gen.planning import local_planner

    monkeypatch.setattr(local_planner, "MAX_TOKENS", 4)  # tokens are no plan yet: three tries
    planner, shown = chosen("local", str(seeing)), []
    planner.model.model.vision_tower.register_forward_pre_hook(
        lambda module, args, kwargs: shown.append(1), with_kwargs=True
    )
    for image in (np.zeros((40, 50, 3), np.uint8), None):
        with pytest.raises(Refused, match="no valid plan in 3 tries"):
            planner("wave", image, 8.0, lambda: None)
        assert len(shown) == 3


def test_model_that_does_not_come_to_an_end(tiny, monkeypatch):
    from exoactor_gen.planning import local_planner

    monkeypatch.setattr(local_planner, "MAX_TOKENS", 8)
    with pytest.raises(Refused, match=r"gave no valid plan in 3 tries. The answer is not valid: Invalid JSON"):
        chosen("local", str(tiny))("wave", None, 8.0, lambda: None)


def test_local_model_is_cancelled_between_tokens(tiny):
    ticks = []

    def tick():
        ticks.append(1)
        if len(ticks) == 3:
            raise Cancelled("Cancelled.")

    with pytest.raises(Cancelled):
        chosen("local", str(tiny))("wave", None, 8.0, tick)
    assert len(ticks) == 3


def test_model_that_is_none(tiny, tmp_path):
    with pytest.raises(Missing, match="cannot be loaded"):
        chosen("local", str(tmp_path))
    import shutil

    shutil.copytree(tiny, tmp_path / "mute")
    (tmp_path / "mute" / "chat_template.jinja").unlink()
    with pytest.raises(BadInput, match="no chat template"):
        chosen("local", str(tmp_path / "mute"))
