"""Retargeting to objects, verified in physics: the stages meet here alone."""

import numpy as np
import pytest

from exoactor_control.rehearsal.rehearsal import Rehearsal
from exoactor_core.contacts import BODY_PARTS, Contact
from exoactor_core.interaction import Interaction
from exoactor_core.scene import Scene, everyday
from exoactor_core.task_checks import Check
from exoactor_gen.mannequin.choreography import choreograph
from exoactor_gen.mannequin.language import parse
from exoactor_retarget.retargeter import Retargeter


@pytest.mark.slow
def test_the_shipped_tracker_lifts_a_box_off_a_table_between_its_fists():
    human = choreograph(parse("pick up the box from the table, then wait three seconds"), np.zeros(10))
    table = everyday("table", "table", (0.64, 0.0, 0.0), size=(0.6, 1.1, 0.75))
    box = everyday("box", "box", (0.46, 0.0, 0.75), size=(0.25, 0.25, 0.25), mass=1.0, friction=1.0)
    scene = Scene(objects=(table, box))
    contacts = [
        Contact(body=hand, object="box", kind="grasp", start=2.3, end=human.duration) for hand in BODY_PARTS[:2]
    ]
    lifted = Check(kind="lifted", object="box", amount=0.08)
    interaction = Interaction(scene, tuple(contacts), (lifted,))
    motion = Retargeter()(human, interaction=interaction).motion
    metrics = Rehearsal(variations=0)(motion, interaction=interaction).metrics
    assert metrics["success"], metrics["reason"]
    assert metrics["task_success"], metrics["checks"]
