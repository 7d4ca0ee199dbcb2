"""A task's planned contacts, in the time of its motion."""

import pytest

from exoactor_core.contacts import Contact
from exoactor_core.errors import Refused
from exoactor_core.interaction import Interaction


def holding(start, end):
    return Interaction(contacts=(Contact(body="left_hand", object="box", kind="grasp", start=start, end=end),))


def test_contacts_get_the_times_of_the_motion():
    (contact,) = holding(5.0, 9.0).within(2.0, 12.0).contacts
    assert (contact.start, contact.end) == (3.0, 7.0)


def test_what_is_held_to_the_last_frame_of_a_video_may_end_after_the_motion():
    (contact,) = holding(1.5, 9.5).within(2.0, 9.0).contacts
    assert (contact.start, contact.end) == (0.0, 7.5)


@pytest.mark.parametrize("part", [(0.0, 7.5), (6.5, 12.0)])
def test_a_motion_that_lacks_a_planned_contact_is_refused(part):
    with pytest.raises(Refused, match=r"of the video only, but the left hand has to hold or touch the box from 5.0 s"):
        holding(5.0, 9.0).within(*part)
