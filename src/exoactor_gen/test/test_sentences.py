"""An operator's sentences: each is understood as it is meant, or refused with the words that are not understood."""

import re
from contextlib import suppress
from dataclasses import replace
from itertools import product
from pathlib import Path

import numpy as np
import pytest

from exoactor_core.errors import BadInput
from exoactor_core.everyday import COLORS
from exoactor_core.scene import Scene
from exoactor_gen.mannequin.actions import describe, movements_of
from exoactor_gen.mannequin.choreography import Choreography, choreograph, plan_of
from exoactor_gen.mannequin.language import Reading, gesture_of, instruction_of, parse, read
from exoactor_gen.mannequin.movement import GESTURES_MEANWHILE, KINDS, Movement, check
from exoactor_gen.mannequin.vocabulary import NOT_DONE
from exoactor_gen.plan import Plan


def do(kind: str, **details: object) -> Movement:
    return Movement(kind, **details)


LEFT = do("turn", direction="left", angle=90.0)
TURN = do("turn", direction="around")
MEANT: list[tuple[str, list[Movement]]] = [
    # a gesture of one arm that was raised is made with that arm
    ("raise your left hand and wave", [do("raise", side="left"), do("wave", side="left")]),
    (
        "raise your left arm, wave five times and lower it",
        [do("raise", side="left"), do("wave", side="left", count=5), do("lower", side="left")],
    ),
    ("raise your left arm and wave with your right", [do("raise", side="left"), do("wave", side="right")]),
    ("raise your left arm and clap", [do("raise", side="left"), do("clap")]),
    (
        "raise your left arm, then walk while waving",
        [do("raise", side="left"), do("walk", meanwhile="wave with your left hand")],
    ),
    # to the left and to the right
    ("do three lunges on each side", [do("lunge", side=side, count=3) for side in ("left", "right")]),
    ("twist to each side", [do("twist", direction="left"), do("twist", direction="right")]),
    ("wave on both sides", [do("wave", side="left"), do("wave", side="right")]),
    ("do four lunges, alternating legs", [do("lunge", side="left"), do("lunge", side="right")] * 2),
    ("lift your knees alternately", [do("lift knee", side="left"), do("lift knee", side="right")]),
    ("turn your head alternately left and right", [do("look", direction="left"), do("look", direction="right")]),
    (
        "punch four times, alternating your fists, starting with your right hand",
        [do("punch", side="right"), do("punch", side="left")] * 2,
    ),
    (
        "raise your left arm, twist to the left, and repeat on the other side",
        [
            do(k, **{name: side})
            for side in ("left", "right")
            for k, name in (("raise", "side"), ("twist", "direction"))
        ],
    ),
    (
        "walk to the table, lift your knee, then do the same on the other side",
        [do("walk", object="table"), do("lift knee"), do("lift knee", side="left")],
    ),
    # how often, when, and until where
    ("step left, step right, and repeat this three times", [do("step", direction=d) for d in ("left", "right")] * 3),
    (
        "raise your left hand, and after two seconds lower it",
        [do("raise", side="left"), do("stand", seconds=2.0), do("lower", side="left")],
    ),
    ("wave and two seconds later nod", [do("wave"), do("stand", seconds=2.0), do("nod")]),
    ("walk to the table and come back here", [do("walk", object="table"), do("walk", object="start")]),
    (
        "take the cup from the table, look at it, and put it down where it was",
        [
            do("pick up", object="cup", at="table", direction="up"),
            do("look", object="cup"),
            do("place", object="cup", at="table"),
        ],
    ),
    # as far as it goes, and back
    ("lift your right knee as high as you can", [do("lift knee", side="right")]),
    ("lean to the left as far as you can", [do("bow", direction="left", angle=30.0)]),
    ("look right as far as possible", [do("look", direction="right", angle=75.0)]),
    ("lunge forward, then return to standing", [do("lunge", direction="forward"), do("stand")]),
    ("squat down and come back up", [do("squat", direction="down")]),
    ("salute, then lower your hand", [do("salute")]),
    # how the arms are meanwhile
    (
        "stand with your arms stretched out in front of you for 5 seconds",
        [do("raise", side="both", direction="forward", seconds=5.0)],
    ),
    (
        "walk with arms outstretched",
        [do("walk", meanwhile="raising arms to the side")],
    ),
    ("march in place for eight seconds, lifting your knees high", [do("march", seconds=8.0)]),
    ("stand up straight with your arms at your sides", [do("stand")]),
    (
        "raise both arms to the side until they are at shoulder height",
        [do("raise", side="both", direction="side", angle=90.0)],
    ),
    (
        "extend both arms in front of you at chest level",
        [do("raise", side="both", direction="forward", angle=75.0)],
    ),
    ("place your left hand on your left hip", [do("hands on hips", side="left")]),
    ("turn your head to the right and back to the center", [do("look", direction="right")]),
    ("squat twice with your arms stretched forward", [do("squat", count=2)]),
    ("march in place while clapping for 5 seconds", [do("march", seconds=5.0, meanwhile="clap")]),
    # parts of what something is put on, or taken from
    ("put the cup on the left side of the table", [do("place", object="cup", at="table", part="left")]),
    ("place the bottle on the right edge of the table", [do("place", object="bottle", at="table", part="right")]),
    ("put the box in the middle of the shelf", [do("place", object="box", at="shelf", part="middle")]),
    ("put the cup at the edge of the table", [do("place", object="cup", at="table")]),
    ("put the cup on the left side of the bottle", [do("place", object="cup", at="bottle", direction="left")]),
    (
        "pick up the cup from the left half of the table",
        [do("pick up", object="cup", at="table", part="left", direction="up")],
    ),
    ("walk to the left side of the table", [do("walk", object="table", side="left")]),
    ("wave on the left side of the table", [do("walk", object="table", side="left"), do("wave")]),
    # the hand that puts something down is the one that takes it
    (
        "take the cup and put it on the table with your left hand",
        [do("pick up", object="cup", side="left", direction="up"), do("place", object="cup", at="table", side="left")],
    ),
    # pushed or kicked towards something
    ("push the box against the wall", [do("push", object="box", at="wall", direction="towards")]),
    ("move the chair to the table", [do("push", object="chair", at="table", direction="towards")]),
    (
        "slide the box 50 cm towards the door",
        [do("push", object="box", at="door", direction="towards", distance=0.5)],
    ),
    (
        "push the box to the wall with your left foot",
        [do("nudge", object="box", at="wall", direction="towards", side="left")],
    ),
    ("kick the ball towards the door", [do("kick", object="ball", at="door", direction="towards")]),
    # in passing
    ("walk to the table and stop in front of it", [do("walk", object="table"), do("stand")]),
    ("sit down, wait for 2 seconds, and get back up", [do("sit", direction="down", seconds=2.0)]),
    ("raise both arms and hold them there for a bit", [do("raise", side="both")]),
    ("stretch your arms out to the sides like an airplane", [do("raise", side="both", direction="side")]),
    ("jumping jacks, ten of them", [do("jumping jack", count=10)]),
    ("could you be so kind as to wave", [do("wave")]),
    ("pat the box on top", [do("touch", object="box")]),
    (
        "walk to the shelf and take the bottle down",
        [do("walk", object="shelf"), do("pick up", object="bottle", direction="up")],
    ),
    ("sweep the floor in front of the table", [do("walk", object="table"), do("sweep")]),
    ("head for the door, please", [do("walk", object="door")]),
    ("lift the box with care", [do("pick up", object="box", pace=0.75)]),
    ("stroll to the far wall and come back", [do("walk", object="wall"), do("walk", object="start")]),
    ("boot the ball as hard as you can", [do("kick", object="ball", pace=1.1)]),
    ("gimme three deep knee bends", [do("squat", count=3)]),
    ("plonk yourself down on the stool", [do("sit", object="stool", direction="down")]),
    ("do a lap around the table", [do("walk", object="table", direction="around", angle=360.0)]),
    ("high knees for ten seconds", [do("march", seconds=10.0)]),
    ("touch the bar with your fingertips", [do("touch", object="bar")]),
    ("point to where the bin is", [do("point", object="bin")]),
    (
        "take four steps forward, turn around and take four more",
        [do("step", direction="forward", count=4), TURN, do("step", count=4)],
    ),
    ("drop your arms after raising both arms", [do("raise", side="both")]),
    ("stand at attention and salute like a soldier", [do("stand"), do("salute")]),
    ("it would be great if you could inspect the box", [do("look", object="box")]),
    ("grab the broom and sweep the floor", [do("sweep")]),
    # more formally
    (
        "navigate to the table, grasp the bottle and place it inside the basket",
        [do("walk", object="table"), do("pick up", object="bottle"), do("place", object="bottle", at="basket")],
    ),
    (
        "pick up the blue box and relocate it to the other table",
        [
            do("pick up", object="blue_box", direction="up"),
            do("place", object="blue_box", at="other_table"),
        ],
    ),
    ("perform a 180-degree turn", [do("turn", angle=180.0)]),
    ("lower your body into a squat", [do("squat")]),
    ("do a forward lunge and repeat with the left leg", [do("lunge", direction="forward"), do("lunge", side="left")]),
    ("kick the ball so that it rolls forward", [do("kick", object="ball", direction="forward")]),
    ("stand on your right leg while raising your left knee", [do("lift knee", side="left")]),
    ("wave with both hands above your head", [do("wave", side="both")]),
    ("walk forward until you are half a metre away from the wall", [do("walk", object="wall", gap=0.5)]),
    ("walk to the door until you are one metre from it", [do("walk", object="door", gap=1.0)]),
    ("clean the surface of the table", [do("wipe", object="table")]),
    (
        "walk diagonally to the right for two metres",
        [do("turn", direction="right", angle=45.0), do("walk", direction="forward", distance=2.0)],
    ),
    ("turn around and march away", [TURN, do("walk")]),
    ("walk towards the basket and look inside it", [do("walk", object="basket"), do("look", object="basket")]),
    (
        "move the bottle from the left side of the table to the right side",
        [
            do("pick up", object="bottle", at="table", part="left"),
            do("place", object="bottle", at="table", part="right"),
        ],
    ),
    ("locate the red cup", [do("look", object="red_cup")]),
    ("put the cup on the corner of the table", [do("place", object="cup", at="table")]),
    ("use your right foot to kick the ball", [do("kick", object="ball", side="right")]),
    (
        "put the box in front of the chair",
        [do("pick up", object="box"), do("walk", object="chair"), do("place", object="box", at="floor")],
    ),
    (
        "carry the basket to the table, then put the ball into it",
        [do("carry", object="basket", at="table"), do("place", object="ball", at="basket")],
    ),
    ("wipe the table twice, from left to right", [do("wipe", object="table", count=2)]),
    ("walk in the direction of the door", [do("walk", object="door")]),
    (
        "stop in front of the door and knock three times",
        [do("walk", object="door"), do("stand"), do("knock", object="door", count=3)],
    ),
    (
        "go around the table and pick up the cup on the other side",
        [do("walk", object="table", direction="around"), do("pick up", object="cup", direction="up")],
    ),
    ("turn around and leave", [TURN, do("walk")]),
    ("march to the door like a soldier", [do("walk", object="door")]),
    (
        "put the red cup on the left and the blue cup on the right side of the table",
        [
            do("place", object="red_cup", at="table", part="left"),
            do("place", object="blue_cup", at="table", part="right"),
        ],
    ),
    ("bring both arms forward and clap", [do("raise", side="both", direction="forward"), do("clap")]),
    ("take two big steps forward", [do("step", direction="forward", count=2, distance=0.72)]),
    ("slide the box across the floor to the wall", [do("push", object="box", at="wall", direction="towards")]),
    ("hand the cup to the person", [do("hold", object="cup")]),
    ("remain standing for ten seconds without moving", [do("stand", seconds=10.0)]),
    ("do a little spin", [do("turn", angle=360.0)]),
    # arms go round
    ("make a big circle with your right arm", [do("circle arms", side="right")]),
    ("circle your arms five times", [do("circle arms", side="both", count=5)]),
    ("do ten arm circles", [do("circle arms", count=10)]),
    ("rotate your left arm slowly", [do("circle arms", side="left", pace=0.75)]),
    ("walk while moving your arms in circles", [do("walk", meanwhile="circle your arms")]),
    # buttons stand on posts
    ("push the green button", [do("touch", object="green_button")]),
    ("hit the emergency stop", [do("touch", object="button")]),
    (
        "walk to the switch and press it twice with your left hand",
        [do("walk", object="button"), do("touch", object="button", side="left", count=2)],
    ),
    # something is brought to where the task began, and held out
    *(
        (
            text,
            [
                do("walk", object="cup"),
                do("pick up", object="cup"),
                do("walk", object="start"),
                do("hold", object="cup"),
            ],
        )
        for text in ("bring me the cup", "get me the cup", "bring the cup to me", "fetch the cup, then hold it out")
    ),
    # done beside something
    ("crouch down behind the box", [do("walk", object="box", direction="around"), do("squat", direction="down")]),
    ("walk around the box and crouch behind it", [do("walk", object="box", direction="around"), do("squat")]),
    ("wave next to the table", [do("walk", object="table"), do("wave")]),
    ("do three squats in front of the wall", [do("walk", object="wall"), do("squat", count=3)]),
    (
        "take the ball lying next to the chair",
        [do("walk", object="chair"), do("pick up", object="ball", direction="up")],
    ),
    ("kick the ball beside the table", [do("walk", object="table"), do("kick", object="ball")]),
    (
        "pick up the bottle standing on the table and place it on the shelf",
        [do("pick up", object="bottle", at="table", direction="up"), do("place", object="bottle", at="shelf")],
    ),
    ("turn your back to the table", [do("turn", object="table"), TURN]),
    ("stand with your back to the wall", [do("turn", object="wall"), TURN]),
    ("hold the box in front of your body for 3 seconds", [do("hold", object="box", seconds=3.0)]),
    # who is waved at, and how
    ("greet the visitors happily", [do("wave")]),
    ("cheer loudly", [do("cheer")]),
    # oblique walks
    (
        "walk in a zigzag for 4.5 metres",
        [
            do("turn", direction="left", angle=45.0),
            *(
                step
                for way in ("right", "left")
                for step in (do("walk", direction="forward", distance=1.5), do("turn", direction=way, angle=90.0))
            ),
            do("walk", direction="forward", distance=1.5),
            do("turn", direction="right", angle=45.0),
        ],
    ),
    # amounts: decimals, words, units
    ("wave for 1,5 seconds", [do("wave", seconds=1.5)]),
    ("wave for 1.5 seconds", [do("wave", seconds=1.5)]),
    ("walk forward 0,5 m", [do("walk", direction="forward", distance=0.5)]),
    ("walk 2 m forwards", [do("walk", direction="forward", distance=2.0)]),
    ("Walk forward half a metre, please.", [do("walk", direction="forward", distance=0.5)]),
    ("walk three and a half metres", [do("walk", distance=3.5)]),
    ("turn left by 45°", [do("turn", direction="left", angle=45.0)]),
    ("turn 180 degrees to the right", [do("turn", direction="right", angle=180.0)]),
    ("do three squats", [do("squat", count=3)]),
    ("jump up twice", [do("jump", direction="up", count=2)]),
    ("do three jumps in place", [do("jump", count=3)]),
    ("Clap your hands three times!", [do("clap", count=3)]),
    ("bow 30 degrees", [do("bow", angle=30.0)]),
    ("take three steps back", [do("step", direction="backward", count=3)]),
    ("take a step to the right", [do("step", direction="right", count=1)]),
    ("walk backwards two steps", [do("walk", direction="backward", count=2)]),
    ("walk forward in four steps", [do("walk", direction="forward", count=4)]),
    ("stand still for a minute", [do("stand", seconds=60.0)]),
    # ways
    ("walk backward", [do("walk", direction="backward")]),
    ("step sideways to the right", [do("step", direction="right")]),
    ("turn right", [do("turn", direction="right")]),
    ("turn counter-clockwise 90 degrees", [do("turn", direction="left", angle=90.0)]),
    ("point up with your left arm", [do("point", direction="up", side="left")]),
    ("reach to the left with your left hand", [do("reach", direction="left", side="left")]),
    ("look down", [do("look", direction="down")]),
    ("raise both arms above your head", [do("raise", side="both", direction="up")]),
    # beside something
    (
        "pick up the bottle and put it down next to the cup",
        [do("pick up", object="bottle", direction="up"), do("place", object="bottle", direction="side", at="cup")],
    ),
    ("put the cup to the left of the bottle", [do("place", object="cup", direction="left", at="bottle")]),
    (
        "put the bottle beside the ball and the red cup into the basket",
        [do("place", object="bottle", direction="side", at="ball"), do("place", object="red_cup", at="basket")],
    ),
    ("walk next to the table", [do("walk", object="table")]),
    # in place, in a circle, back, staying
    ("march in place", [do("march")]),
    ("march on the spot for 5 seconds", [do("march", seconds=5.0)]),
    ("walk in place for ten steps", [do("march", count=10)]),
    ("walk in a circle", [do("walk", direction="around", angle=360.0)]),
    ("walk in a circle to the right", [do("walk", direction="around", angle=360.0, side="right")]),
    (
        "walk forward two metres, turn around and walk back",
        [do("walk", direction="forward", distance=2.0), do("turn", direction="around"), do("walk", object="start")],
    ),
    ("turn around and walk back", [do("turn", direction="around"), do("walk", direction="forward")]),
    (
        "turn around and walk back two metres",
        [do("turn", direction="around"), do("walk", direction="forward", distance=2.0)],
    ),
    (
        "walk to the table, then walk back to the start",
        [do("walk", object="table"), do("walk", object="start")],
    ),
    ("squat down and stay there for 3 seconds", [do("squat", direction="down", seconds=3.0)]),
    ("raise your left arm and hold it for two seconds", [do("raise", side="left", seconds=2.0)]),
    ("squat down, wait for 2 seconds and stand up", [do("squat", direction="down", seconds=2.0)]),
    # objects
    ("take the bottle to the chair", [do("carry", object="bottle", at="chair")]),
    ("bring the box to the table", [do("carry", object="box", at="table")]),
    ("take the bottle from the table", [do("pick up", direction="up", object="bottle", at="table")]),
    (
        "pick up the ball and put it in the basket",
        [do("pick up", direction="up", object="ball"), do("place", object="ball", at="basket")],
    ),
    ("kick the ball with your right foot twice", [do("kick", object="ball", side="right", count=2)]),
    ("go to the chair and sit down", [do("walk", object="chair"), do("sit", direction="down")]),
    ("push the box forward", [do("push", object="box", direction="forward")]),
    ("put both hands on the table", [do("touch", object="table", side="both")]),
    # order, repetition, manner
    ("wave, then nod, then bow", [do("wave"), do("nod"), do("bow")]),
    ("wave twice, wait two seconds, wave again", [do("wave", count=2), do("stand", seconds=2.0), do("wave")]),
    ("slowly walk forward one metre", [do("walk", direction="forward", distance=1.0, pace=0.75)]),
    ("nod and then quickly clap twice", [do("nod"), do("clap", pace=1.1, count=2)]),
    ("first bow, then twice nod", [do("bow"), do("nod", count=2)]),
    ("turn left a bit", [do("turn", direction="left", angle=30.0)]),
    ("walk forward a little", [do("walk", direction="forward", distance=0.5)]),
    ("could you please wave with your left hand?", [do("wave", side="left")]),
    ("I want the robot to walk forward one metre", [do("walk", direction="forward", distance=1.0)]),
    ("start walking", [do("walk")]),
    ("go and pick up the ball", [do("pick up", direction="up", object="ball")]),
    # written once the grammar was done, as by somebody who wants to trip it
    ("walk forward two metres and stop", [do("walk", direction="forward", distance=2.0), do("stand")]),
    (
        "wave your right hand twice and then your left hand once",
        [do("wave", side="right", count=2), do("wave", side="left", count=1)],
    ),
    (
        "walk three steps forward, one step back",
        [do("walk", direction="forward", count=3), do("step", direction="backward", count=1)],
    ),
    ("raise your hands", [do("raise", side="both")]),
    (
        "walk quickly to the table and sit down slowly",
        [do("walk", object="table", pace=1.1), do("sit", direction="down", pace=0.75)],
    ),
    ("kick twice with the left leg", [do("kick", side="left", count=2)]),
    ("punch with both fists three times", [do("punch", side="both", count=3)]),
    ("sit down for ten seconds", [do("sit", direction="down", seconds=10.0)]),
    ("squat for three seconds", [do("squat", seconds=3.0)]),
    ("squat 5 times slowly", [do("squat", count=5, pace=0.75)]),
    ("point at the chair with your left hand", [do("point", object="chair", side="left")]),
    ("walk to the table and back", [do("walk", object="table"), do("walk", object="start")]),
    ("walk to the table and come back", [do("walk", object="table"), do("walk", object="start")]),
    ("put the ball on the floor", [do("place", object="ball", at="floor")]),
    ("carry the box two metres forward", [do("carry", object="box", distance=2.0, direction="forward")]),
    ("carry the box with one hand", [do("carry", object="box", side="right")]),
    ("push the table 50 cm", [do("push", object="table", distance=0.5)]),
    ("move left", [do("walk", direction="left")]),
    ("clap for 2,5 seconds and bow", [do("clap", seconds=2.5), do("bow")]),
    ("turn left half a turn", [do("turn", direction="left", angle=180.0)]),
    ("march forward two metres", [do("walk", direction="forward", distance=2.0)]),
    ("march in place twenty steps then stop", [do("march", count=20), do("stand")]),
    ("go straight ahead for 2 m", [do("walk", direction="forward", distance=2.0)]),
    ("walk a metre left", [do("walk", direction="left", distance=1.0)]),
    ("turn 360", [do("turn", angle=360.0)]),
    # gestures, and standing on one leg
    ("shake your head twice", [do("shake head", count=2)]),
    ("fold your arms and nod", [do("cross arms"), do("nod")]),
    ("put your hands on your hips for three seconds", [do("hands on hips", side="both", seconds=3.0)]),
    ("put your left hand on your hip", [do("hands on hips", side="left")]),
    ("place both hands on your head", [do("hands on head", side="both")]),
    ("give a high five with your left hand", [do("high five", side="left")]),
    ("shrug your shoulders", [do("shrug")]),
    ("cheer, then flap your arms four times", [do("cheer"), do("flap", count=4)]),
    ("salute and hold it for 2 seconds", [do("salute", seconds=2.0)]),
    ("knock three times", [do("knock", count=3)]),
    ("dance for eight seconds", [do("dance", seconds=8.0)]),
    ("do three lunges", [do("lunge", count=3)]),
    ("lunge forward with your left leg", [do("lunge", direction="forward", side="left")]),
    ("sidestep to the left", [do("step", direction="left")]),
    ("lift your left knee, hold it for three seconds", [do("lift knee", side="left", seconds=3.0)]),
    ("stand on your left leg for five seconds", [do("lift knee", side="right", seconds=5.0)]),
    ("balance on one foot", [do("lift knee", side="right")]),
    (
        "wave goodbye and walk away",
        [do("wave"), do("turn", direction="around"), do("walk")],
    ),
    ("sit down and then stand up again", [do("sit", direction="down")]),
    # at the same time
    (
        "walk forward two metres while waving with your left hand",
        [do("walk", direction="forward", distance=2.0, meanwhile="waving with your left hand")],
    ),
    ("wave while marching in place, then bow", [do("march", meanwhile="wave"), do("bow")]),
    (
        "walk forward two metres and wave at the same time, then bow",
        [do("walk", direction="forward", distance=2.0, meanwhile="wave"), do("bow")],
    ),
    (
        "walk two steps and wave with the left hand while walking",
        [do("walk", count=2, meanwhile="wave with the left hand")],
    ),
    # colours, and who was meant
    ("pick up the red ball", [do("pick up", direction="up", object="red_ball")]),
    (
        "take the red mug and put the cup into the blue basket",
        [do("pick up", direction="up", object="red_cup"), do("place", object="red_cup", at="blue_basket")],
    ),
    (
        "put the red cup into the basket and the blue cup into the bin",
        [do("place", object="red_cup", at="basket"), do("place", object="blue_cup", at="bin")],
    ),
    (
        "put the cup on the other table, then walk to another chair",
        [do("place", object="cup", at="other_table"), do("walk", object="other_chair")],
    ),
    ("stack the red box on the blue box", [do("place", object="red_box", at="blue_box")]),
    ("walk around the orange box", [do("walk", direction="around", object="orange_box")]),
    ("hi robot, wave at me!", [do("wave")]),
    ("bow to the audience, thank you", [do("bow")]),
    # what is said once for several
    ("put the cup and the bottle on the table", [do("place", object=o, at="table") for o in ("cup", "bottle")]),
    ("turn right 90 degrees, then 45 degrees", [do("turn", direction="right", angle=a) for a in (90.0, 45.0)]),
    ("raise your left arm, then your right", [do("raise", side="left"), do("raise", side="right")]),
    ("raise your right hand and lower it", [do("raise", side="right")]),
    ("raise your hand and keep it up for two seconds", [do("raise", seconds=2.0)]),
    ("hold up your left hand", [do("raise", side="left", direction="up")]),
    ("keep your hands on your hips for 2 seconds", [do("hands on hips", side="both", seconds=2.0)]),
    ("spread your arms", [do("raise", side="both", direction="side")]),
    ("stretch your arms out to the sides", [do("raise", side="both", direction="side")]),
    # turns, ways, units
    ("spin around twice", [do("turn", direction="around", angle=720.0)]),
    ("spin 90 degrees to the left", [do("turn", direction="left", angle=90.0)]),
    ("do a 360", [do("turn", angle=360.0)]),
    ("rotate clockwise by a quarter turn", [do("turn", direction="right", angle=90.0)]),
    ("do 5 slow squats", [do("squat", count=5, pace=0.75)]),
    ("back up one metre", [do("walk", direction="backward", distance=1.0)]),
    ("walk 500 mm, then a yard", [do("walk", distance=0.5), do("walk", distance=0.9144)]),
    ("throw a punch", [do("punch")]),
    ("walk 20 feet 6 inches, then a metre and a half", [do("walk", distance=6.2484), do("walk", distance=1.5)]),
    ("reach out with your right hand", [do("reach", side="right")]),
    ("lift both arms up to the sides", [do("raise", side="both", direction="side")]),
    (
        "push the door open and step through it",
        [do("open", object="door"), do("walk", direction="forward", object="door")],
    ),
    ("turn to face the door", [do("turn", object="door")]),
    ("walk to the left side of the table", [do("walk", object="table", side="left")]),
    (
        "walk slowly in a two metre square to the right",
        [do("walk", direction="forward", distance=2.0, pace=0.75), do("turn", direction="right", angle=90.0, pace=0.75)]
        * 4,
    ),
    (
        "pick up the cup and the ball and put them on the table",
        [do("pick up", direction="up", object="cup"), do("pick up", object="ball")]
        + [do("place", object=o, at="table") for o in ("cup", "ball")],
    ),
    ("while turning left, nod twice", [do("turn", direction="left", meanwhile="nod twice")]),
    # as newcomers type
    ("hands up", [do("raise", side="both", direction="up")]),
    ("bow, then both arms out to the sides", [do("bow"), do("raise", side="both", direction="side")]),
    ("hands on your hips", [do("hands on hips", side="both")]),
    ("move your right arm up", [do("raise", side="right", direction="up")]),
    ("move your head to the left", [do("look", direction="left")]),
    ("move your left leg up", [do("lift knee", side="left", direction="up")]),
    ("move your left foot forward", [do("step", side="left", direction="forward")]),
    ("raise your left hand, then raise the other hand", [do("raise", side=s) for s in ("left", "right")]),
    ("wave, then wave with the other", [do("wave"), do("wave", side="left")]),
    ("kick with your left foot, then with the other foot", [do("kick", side=s) for s in ("left", "right")]),
    ("nod yes", [do("nod")]),
    ("shake your head no", [do("shake head")]),
    ("say no, then greet everyone", [do("shake head"), do("wave")]),
    ("give me a round of applause", [do("clap")]),
    ("lean to the left", [do("bow", direction="left", angle=20.0)]),
    ("hand me the bottle", [do("hold", object="bottle")]),
    ("give the red cup to me", [do("hold", object="red_cup")]),
    (
        "pick up the cup with your left hand and hand it over to her",
        [do("pick up", object="cup", side="left", direction="up"), do("hold", object="cup")],
    ),
    ("hold the bottle out", [do("hold", object="bottle")]),
    ("hand the bottle over", [do("hold", object="bottle")]),
    ("pick up the cup that is on the table", [do("pick up", direction="up", object="cup", at="table")]),
    (
        "put the mug which stands on the desk in the trash",
        [do("pick up", object="cup", at="table"), do("place", object="cup", at="bin")],
    ),
    (
        "walk to the door while holding the bottle",
        [do("pick up", object="bottle"), do("walk", object="door")],
    ),
    (
        "pick up the box, then carry it while walking two metres",
        [do("pick up", object="box", direction="up"), do("walk", distance=2.0)],
    ),
    (
        "pick up the bottle, then wave with the other hand",
        [do("pick up", object="bottle", direction="up"), do("wave", side="left")],
    ),
    (
        "lift the bottle and put it back down",
        [do("pick up", object="bottle"), do("place", object="bottle", direction="down")],
    ),
    ("wipe the table down", [do("wipe", object="table")]),
    ("head over to the chair", [do("walk", object="chair")]),
    ("use your left hand to pick up the bottle", [do("pick up", object="bottle", side="left", direction="up")]),
    (
        "collect the box and walk to the door with it",
        [do("pick up", object="box"), do("walk", object="door")],
    ),
    (
        "put the bottle on the chair and walk back",
        [do("place", object="bottle", at="chair"), do("walk", object="start")],
    ),
    ("walk over to the door and knock", [do("walk", object="door"), do("knock", object="door")]),
    ("walk to the ball, then kick twice", [do("walk", object="ball"), do("kick", object="ball", count=2)]),
    ("walk to the chair, then punch", [do("walk", object="chair"), do("punch")]),
    (
        "carry the box to the table and put it down",
        [do("carry", object="box", at="table"), do("place", object="box", at="table", direction="down")],
    ),
    (
        "carry the ball to the door and put it down",
        [do("carry", object="ball", at="door"), do("place", object="ball", direction="down")],
    ),
    (
        "walk around the table and the chair",
        [do("walk", direction="around", object=name) for name in ("table", "chair")],
    ),
    ("put the red cup next to the blue one", [do("place", object="red_cup", direction="side", at="blue_cup")]),
    ("wipe the table clean", [do("wipe", object="table")]),
    (
        "carry the bottle to the basket and drop it in, then bow",
        [do("carry", object="bottle", at="basket"), do("place", object="bottle", at="basket"), do("bow")],
    ),
    ("show me the cup, then show me a bow", [do("hold", object="cup"), do("bow")]),
    ("push the cup off the table", [do("sweep", object="cup", at="table")]),
    ("put the cup back on the table", [do("place", object="cup", at="table")]),
    (
        "sit on the stool, then walk around the cone",
        [do("sit", object="stool"), do("walk", direction="around", object="cone")],
    ),
    ("don't move", [do("stand")]),
    ("walk a few steps", [do("walk", count=3)]),
    ("take three small steps forward", [do("step", direction="forward", count=3, distance=0.6)]),
    ("do a little dance and a small bow", [do("dance"), do("bow", angle=20.0)]),
    ("bend over", [do("bow")]),
    ("lean forward, then lean forward 30 degrees", [do("bow", direction="forward", angle=a) for a in (20.0, 30.0)]),
    ("stretch", [do("reach", side="both", direction="up")]),
    ("do a full 360", [do("turn", angle=360.0)]),
    ("look over your left shoulder", [do("look", direction="left", angle=75.0)]),
    ("push the chair away", [do("push", object="chair", direction="forward")]),
    ("push the box with your left foot", [do("nudge", object="box", side="left")]),
    ("push the cup on the table", [do("push", object="cup", at="table")]),
    ("knock twice on the door", [do("knock", object="door", count=2)]),
    ("go get the cup", [do("pick up", object="cup")]),
    ("lift the box onto the table", [do("place", object="box", at="table")]),
    (
        "take the bottle from the table and drop it in the bin",
        [do("pick up", object="bottle", at="table", direction="up"), do("place", object="bottle", at="bin")],
    ),
    (
        "bring the cup from the table to the door",
        [do("pick up", object="cup", at="table"), do("carry", object="cup", at="door")],
    ),
    ("after walking two metres, wave", [do("walk", distance=2.0), do("wave")]),
    ("please, before you bow, wave and nod", [do("wave"), do("nod"), do("bow")]),
    ("turn left. wave before you walk", [do("turn", direction="left"), do("wave"), do("walk")]),
    ("bow after clapping twice, then nod", [do("clap", count=2), do("bow"), do("nod")]),
    ("after 3 seconds, wave", [do("stand", seconds=3.0), do("wave")]),
    ("pls go ahead and wave for me, thx", [do("wave")]),
    ("I need you to just walk fwd 2 m", [do("walk", direction="forward", distance=2.0)]),
    ("would you mind clapping?", [do("clap")]),
    ("show me how you bow, then show me a squat", [do("bow"), do("squat", count=None)]),
    ("wave, slowly and with your left hand", [do("wave", pace=0.75, side="left")]),
    ("wave (slowly) -> bow", [do("wave", pace=0.75), do("bow")]),
    (
        "1. walk two metres 2. turn left 90 3) bow",
        [do("walk", distance=2.0), do("turn", direction="left", angle=90.0), do("bow")],
    ),
    ("turn your back to me", [do("turn", direction="around")]),
    ("do three high knees", [do("lift knee", count=3)]),
    (
        "lift the box up and put it down again",
        [do("pick up", direction="up", object="box"), do("place", direction="down", object="box")],
    ),
    ("take five paces back", [do("step", direction="backward", count=5)]),
    ("walk in a straight line for 4 m", [do("walk", direction="forward", distance=4.0)]),
    ("make a U-turn & nod", [do("turn", direction="around"), do("nod")]),
    ("look at me, then at the ceiling", [do("look", direction="forward"), do("look", direction="up")]),
    ("point at the audience", [do("point")]),
    ("reach for the sky", [do("reach", direction="up")]),
    ("hold your arms out in front of you", [do("raise", side="both", direction="forward")]),
    ("T-pose, then left arm out", [do("raise", side=s, direction="side") for s in ("both", "left")]),
    ("raise two hands, then one hand", [do("raise", side="both"), do("raise", side="right")]),
    ("stand straight and greet the audience", [do("stand"), do("wave")]),
    ("lunge with the right leg, then the left", [do("lunge", side=s) for s in ("right", "left")]),
    ("throw a few punches", [do("punch", count=3)]),
    ("place the bottle on top of the box", [do("place", object="bottle", at="box")]),
    ("circle the table", [do("walk", direction="around", angle=360.0, object="table")]),
    ("go to the table, then the chair", [do("walk", object="table"), do("walk", object="chair")]),
    ("look at the door, then the table", [do("look", object="door"), do("look", object="table")]),
    ("walk in front of the table and do it again", [do("walk", object="table")] * 2),
    ("nod while standing still", [do("nod")]),
    ("wait at the table for two seconds", [do("walk", object="table"), do("stand", seconds=2.0)]),
    # two objects, several, one of them, and where they stand
    ("walk between the table and the chair", [do("walk", direction="between", object="table", at="chair")]),
    ("go between the two chairs", [do("walk", direction="between", object="chair", at="other_chair")]),
    (
        "look at both chairs, then walk between them",
        [
            do("look", object="chair"),
            do("look", object="other_chair"),
            do("walk", direction="between", object="chair", at="other_chair"),
        ],
    ),
    (
        "pick up one of the bottles and place it next to the other one",
        [
            do("pick up", direction="up", object="bottle"),
            do("place", object="bottle", direction="side", at="other_bottle"),
        ],
    ),
    ("look at the ball on the table", [do("look", object="ball", at="table")]),
    ("go to the cup which is standing on the desk", [do("walk", object="cup", at="table")]),
    ("walk to the chair on the left", [do("walk", object="chair", direction="left")]),
    ("walk behind the chair", [do("walk", direction="around", object="chair")]),
    (
        "walk around the chair and stop on the far side",
        [do("walk", direction="around", object="chair"), do("stand")],
    ),
    # doors and drawers, upright
    ("close the door", [do("close", object="door")]),
    ("pull the drawer open with your left hand", [do("open", object="drawer", side="left")]),
    ("push the drawer shut", [do("close", object="drawer")]),
    (
        "pick up the bottle and put it upright into the basket",
        [do("pick up", object="bottle", direction="up"), do("place", object="bottle", direction="up", at="basket")],
    ),
    ("stand the bottle upright on the table", [do("place", object="bottle", direction="up", at="table")]),
    ("take the cup out of the bin", [do("pick up", direction="up", object="cup", at="bin")]),
    (
        "move the box from the floor to the table",
        [do("pick up", object="box", at="floor"), do("place", object="box", at="table")],
    ),
    ("push the box left", [do("push", object="box", direction="left")]),
    ("move the chair to the right", [do("push", object="chair", direction="right")]),
    ("kick the ball to the left", [do("kick", object="ball", direction="left")]),
    ("put the bottle on the shelf", [do("place", object="bottle", at="shelf")]),
    ("walk to the other side of the table", [do("walk", object="table", direction="around")]),
    # arms that stay up, one leg, what arms do meanwhile
    (
        "raise your right hand, then your left, then lower both",
        [do("raise", side="right"), do("raise", side="left"), do("lower", side="both")],
    ),
    ("lift both arms, nod and lower them", [do("raise", side="both"), do("nod"), do("lower", side="both")]),
    ("raise both arms, hold them for 2 seconds and lower them again", [do("raise", side="both", seconds=2.0)]),
    ("hop twice on your left leg", [do("hop", side="left", count=2)]),
    ("turn your upper body to the left twice", [do("twist", direction="left", count=2)]),
    ("lower your head", [do("look", direction="down")]),
    ("lift your left foot off the ground", [do("lift knee", side="left")]),
    ("hop up and down three times", [do("jump", direction="up", count=3)]),
    ("clap over your head", [do("clap", direction="up")]),
    ("walk forward with your hands up", [do("walk", direction="forward", meanwhile="raising your hands")]),
    ("stand for 3 seconds with your arms crossed", [do("cross arms", seconds=3.0)]),
    # order, purposes, manners, ways and amounts
    ("walk forward until you reach the table", [do("walk", object="table")]),
    (
        "go to the table to grab the cup. once you have done that, return it to the table",
        [do("walk", object="table"), do("pick up", object="cup"), do("place", object="cup", at="table")],
    ),
    (
        "walk to the door. when you get there, knock briefly, followed by a bow",
        [do("walk", object="door"), do("knock", object="door"), do("bow")],
    ),
    (
        "keep waving for 3 seconds, then walk in a figure eight",
        [do("wave", seconds=3.0)] + [do("walk", direction="around", angle=360.0, side=s) for s in ("left", "right")],
    ),
    ("after you have waved, do a 90 degree turn", [do("wave"), do("turn", angle=90.0)]),
    (
        "put your left hand on the table and wave with the right one",
        [do("touch", object="table", side="left"), do("wave", side="right")],
    ),
    ("walk around the table twice", [do("walk", direction="around", object="table", angle=360.0)] * 2),
    ("walk one metre, bow, then walk another metre", [do("walk", distance=1.0), do("bow"), do("walk", distance=1.0)]),
    (
        "fetch the ball from the floor",
        [
            do("walk", object="ball", at="floor"),
            do("pick up", object="ball", at="floor"),
            do("walk", object="start"),
        ],
    ),
    ("move the cup to the left side of the table", [do("place", object="cup", at="table", part="left")]),
    (
        "put the box down near the right corner of the table",
        [do("place", object="box", at="table", part="right", direction="down")],
    ),
    ("zigzag forward", parse("walk in a zigzag")),
    (
        "remove the bottle from the chair before sitting on it",
        [do("pick up", object="bottle", at="chair"), do("sit", object="chair")],
    ),
    ("make a full turn to the right", [do("turn", direction="right", angle=360.0)]),
    (
        "lift your right arm sideways and lower it slowly",
        [do("raise", side="right", direction="side"), do("lower", side="right", pace=0.75)],
    ),
    ("bend forward at the waist and stay for three seconds", [do("bow", direction="forward", seconds=3.0)]),
    ("carry the cup to the table without spilling", [do("carry", object="cup", at="table")]),
    ("march in place, lifting your knees high", [do("march")]),
    ("lower yourself onto the chair", [do("sit", object="chair")]),
    ("go to get the ball", [do("pick up", object="ball")]),
    ("turn to look at the door", [do("turn", object="door")]),
    ("both hands on the table, please", [do("touch", object="table", side="both")]),
    ("walk in a straight line to the chair", [do("walk", object="chair")]),
    (
        "take the red cup in your left hand and the blue cup in your right hand",
        [do("pick up", direction="up", object="red_cup", side="left"), do("pick up", object="blue_cup", side="right")],
    ),
    ("rotate in place twice", [do("turn", angle=720.0)]),
    ("bow politely, then give the ball a kick", [do("bow"), do("kick", object="ball")]),
    ("step to the left, then back to the right", [do("step", direction=d) for d in ("left", "right")]),
    ("look from side to side", [do("look", direction=d) for d in ("left", "right")]),
    ("clap 3x, then nod half a dozen times", [do("clap", count=3), do("nod", count=6)]),
    # how often: each, both, all of it
    ("turn left twice", [do("turn", direction="left")] * 2),
    ("walk forward three times", [do("walk", direction="forward")] * 3),
    ("walk around the table once", [do("walk", direction="around", object="table", angle=360.0)]),
    ("look left and right twice", [do("look", direction=d) for d in ("left", "right")] * 2),
    (
        "walk forward two metres and turn around, twice",
        [do("walk", direction="forward", distance=2.0), do("turn", direction="around")] * 2,
    ),
    ("nod. wave and bow, three times", [do("nod")] + [do("wave"), do("bow")] * 3),
    ("repeat three times: step forward and clap", [do("step", direction="forward"), do("clap")] * 3),
    ("bow, clap and repeat", [do("bow"), do("clap")] * 2),
    ("wave and nod. do that twice", [do("wave"), do("nod")] * 2),
    ("bow and clap, then do the same again", [do("bow"), do("clap")] * 2),
    ("squat and do it again twice", [do("squat")] * 3),
    ("wave at the person", [do("wave")]),
    ("sit down and stand up five times", [do("sit", direction="down", count=5)]),
    ("throw three punches, left, right, left", [do("punch", side=s) for s in ("left", "right", "left")]),
    ("take two steps: right, then left", [do("step", direction=d) for d in ("right", "left")]),
    ("raise your arms one after the other", [do("raise", side=s) for s in ("left", "right")]),
    # amounts
    ("turn 1/2 turn left", [do("turn", direction="left", angle=180.0)]),
    ("walk 1 1/2 metres", [do("walk", distance=1.5)]),
    ("rotate three quarters of a turn to the right", [do("turn", direction="right", angle=270.0)]),
    ("walk about two metres", [do("walk", distance=2.0)]),
    ("walk backwards until you have gone half a metre", [do("walk", direction="backward", distance=0.5)]),
    ("march in place, stop after five seconds, then nod", [do("march", seconds=5.0), do("nod")]),
    ("walk backward and stop after two steps", [do("walk", direction="backward", count=2)]),
    ("walk a square with sides of one metre", [do("walk", direction="forward", distance=1.0), LEFT] * 4),
    ("bow deeply", [do("bow", angle=70.0)]),
    ("step forward a little", [do("step", direction="forward", distance=0.2)]),
    # what is left out since it was said
    ("walk 2 m, then turn 90° left, then 1 m", [do("walk", distance=2.0), LEFT, do("walk", distance=1.0)]),
    ("two metres forward, then wave", [do("walk", direction="forward", distance=2.0), do("wave")]),
    (
        "take 2 steps forward and 3 to the left",
        [do("step", direction="forward", count=2), do("step", direction="left", count=3)],
    ),
    (
        "touch the table with your left hand, then with the right",
        [do("touch", object="table", side=s) for s in ("left", "right")],
    ),
    ("lift and hold the box", [do("pick up", object="box"), do("hold", object="box")]),
    ("raise and lower your left arm", [do("raise", side="left")]),
    (
        "put the cup on the table and the ball next to it",
        [do("place", object="cup", at="table"), do("place", object="ball", direction="side", at="cup")],
    ),
    (
        "hop three times on your right leg and then twice on your left",
        [do("hop", side="right", count=3), do("hop", side="left", count=2)],
    ),
    ("wave, but first bow", [do("bow"), do("wave")]),
    ("turn right to face the chair", [do("turn", direction="right", object="chair")]),
    ("turn right to the chair", [do("turn", direction="right", object="chair")]),
    # on which side of the person something is
    (
        "put the box on the table on your left",
        [
            do("pick up", object="box"),
            do("walk", direction="left", object="table"),
            do("place", object="box", at="table"),
        ],
    ),
    (
        "pick up the cup on your right",
        [do("walk", direction="right", object="cup"), do("pick up", direction="up", object="cup")],
    ),
    ("touch the box behind you", [do("turn", direction="around"), do("touch", object="box")]),
    # sizes
    (
        "pick up the small box and put it on the big one",
        [do("pick up", direction="up", object="small_box"), do("place", object="small_box", at="big_box")],
    ),
    # where something is, or was put
    ("step up to the table", [do("walk", object="table")]),
    ("stand to the left of the table", [do("walk", object="table", side="left"), do("stand")]),
    (
        "pick up the ball and bring it back",
        [do("pick up", direction="up", object="ball"), do("walk", object="start")],
    ),
    (
        "put the cup into the bin and take it out again",
        [do("place", object="cup", at="bin"), do("pick up", direction="up", object="cup", at="bin")],
    ),
    # what is not to be done
    ("walk without waving", [do("walk")]),
    ("walk to the table but don't touch it", [do("walk", object="table")]),
    ("wave with your right hand, not your left", [do("wave", side="right")]),
    ("don't turn left, turn right", [do("turn", direction="right")]),
    # participles
    ("walk forward waving", [do("walk", direction="forward", meanwhile="waving")]),
    ("walk two metres, nodding all the time", [do("walk", distance=2.0, meanwhile="nodding")]),
    ("walk forward holding a box", [do("pick up", object="box"), do("walk", direction="forward")]),
    ("turn one and a half times to the right", [do("turn", direction="right", angle=540.0)]),
    (
        "pick up the cup from the table, hold it and put it back",
        [
            do("pick up", direction="up", object="cup", at="table"),
            do("hold", object="cup"),
            do("place", object="cup", at="table"),
        ],
    ),
    ("put the ball on the floor next to the table", [do("place", object="ball", direction="side", at="table")]),
    # how near to something
    ("walk to the door but stop one metre before it", [do("walk", object="door", gap=1.0)]),
    ("stop 50 cm in front of the table, then bow", [do("walk", object="table", gap=0.5), do("bow")]),
    ("walk towards the box until you are two metres away", [do("walk", object="box", gap=2.0)]),
    ("walk to within 80 cm of the table", [do("walk", object="table", gap=0.8)]),
    # what is meant by little words
    ("lift your left knee, then put it down", [do("lift knee", side="left")]),
    ("punch the air with both fists", [do("punch", side="both")]),
    (
        "pick up the cup with your right hand and the bottle with your left, then put both on the table",
        [do("pick up", direction="up", object="cup", side="right"), do("pick up", object="bottle", side="left")]
        + [do("place", object=o, at="table") for o in ("cup", "bottle")],
    ),
    (
        "carry the red box to the blue box and stack it on top",
        [do("carry", object="red_box", at="blue_box"), do("place", object="red_box", at="blue_box")],
    ),
    ("walk over the bar and back over it", [do("walk", direction="over", object="bar")] * 2),
    # the same again
    (
        "walk two metres, turn around and walk the same distance",
        [do("walk", distance=2.0), TURN, do("walk", distance=2.0)],
    ),
    (
        "put the red cup into the bin, then do the same with the blue one",
        [do("place", object=f"{color}_cup", at="bin") for color in ("red", "blue")],
    ),
    (
        "touch the box with your left hand, then the table with the same hand",
        [do("touch", object=name, side="left") for name in ("box", "table")],
    ),
    (
        "wave with your left hand for four seconds, then with your right hand for two",
        [do("wave", side="left", seconds=4.0), do("wave", side="right", seconds=2.0)],
    ),
    ("walk around the cone and stop behind it", [do("walk", direction="around", object="cone"), do("stand")]),
    (
        "sweep the bottle off the table, then wipe it",
        [do("sweep", object="bottle", at="table"), do("wipe", object="table")],
    ),
    (
        "go to the shelf after touching the table, and put the cup on it",
        [do("touch", object="table"), do("walk", object="shelf"), do("place", object="cup", at="shelf")],
    ),
    (
        "before you pick up the box, walk around it",
        [do("walk", direction="around", object="box"), do("pick up", direction="up", object="box")],
    ),
    ("open the door without touching it with your left hand", [do("open", object="door")]),
    ("wave, first with your left hand, then with your right", [do("wave", side=s) for s in ("left", "right")]),
    (
        "walk in a circle, first to the left, then to the right",
        [do("walk", direction="around", angle=360.0, side=s) for s in ("left", "right")],
    ),
    ("march on the spot, 12 steps", [do("march", count=12)]),
    ("turn left, a quarter turn", [LEFT]),
    ("lift each knee three times", [do("lift knee", side=s, count=3) for s in ("left", "right")]),
    ("brush the bottle off the table", [do("sweep", object="bottle", at="table")]),
    ("pull out the drawer", [do("open", object="drawer")]),
    ("don't pick up the box; touch it instead", [do("touch", object="box")]),
    (
        "move the cup to the floor and the ball into the bin",
        [do("place", object="cup", at="floor"), do("place", object="ball", at="bin")],
    ),
    ("drop off the cup at the desk", [do("place", object="cup", at="table")]),
    ("drop off the box at the chair", [do("place", object="box", direction="side", at="chair")]),
    ("wave for two seconds and clap for three", [do("wave", seconds=2.0), do("clap", seconds=3.0)]),
    ("walk slowly and carefully to the table", [do("walk", object="table", pace=0.75)]),
    # back, and again
    ("turn right and then back", [do("turn", direction="right"), do("turn", direction="left")]),
    ("turn 30 degrees left, then back", [do("turn", direction=d, angle=30.0) for d in ("left", "right")]),
    (
        "put the ball in the basket, then pick it up again",
        [do("place", object="ball", at="basket"), do("pick up", direction="up", object="ball", at="basket")],
    ),
    (
        "put the cup on the table and pick it up",
        [do("place", object="cup", at="table"), do("pick up", direction="up", object="cup")],
    ),
    # lists
    ("Step 1: walk to the table. Step 2: touch it.", [do("walk", object="table"), do("touch", object="table")]),
    ("- wave; - bow", [do("wave"), do("bow")]),
    ("First, wave. Second, take a deep bow. Third, nod.", [do("wave"), do("bow", angle=70.0), do("nod")]),
    (
        "wave, then, after a pause of two seconds, take a left and back up two steps",
        [
            do("wave"),
            do("stand", seconds=2.0),
            do("turn", direction="left"),
            do("walk", direction="backward", count=2),
        ],
    ),
    (
        "turn your body to the right, bend sideways to the left",
        [do("turn", direction="right"), do("bow", direction="left")],
    ),
    ("turn your head to the right and back, rest for 3 s", [do("look", direction="right"), do("stand", seconds=3.0)]),
    ("take a seat and stay seated for two seconds", [do("sit", seconds=2.0)]),
    # on the chair
    ("sit down, wave, stand up", [do("sit", direction="down", meanwhile="wave")]),
    (
        "sit down for 2 seconds, raise your left arm, wait a second and nod twice",
        [
            do(
                "sit",
                direction="down",
                meanwhile="wait for 2 seconds, then raise your left hand, then stand for 1 seconds, then nod 2 times",
            )
        ],
    ),
    ("clap twice while sitting on the chair", [do("sit", object="chair", meanwhile="clap twice")]),
    ("sit down, stand up and wave", [do("sit", direction="down"), do("wave")]),
    # how much, how high, and how often all of it
    ("do five jumping jacks", [do("jumping jack", count=5)]),
    ("star jumps for ten seconds", [do("jumping jack", seconds=10.0)]),
    ("bend your knees slightly", [do("squat", distance=0.12)]),
    ("squat down 20 cm twice", [do("squat", direction="down", distance=0.2, count=2)]),
    ("squat as low as you can", [do("squat")]),
    ("raise your left arm a little", [do("raise", side="left", angle=45.0)]),
    ("raise both arms 120 degrees", [do("raise", side="both", angle=120.0)]),
    ("raise your arms fully", [do("raise", side="both")]),
    ("bow low, then bend forward fully", [do("bow", angle=70.0), do("bow", direction="forward", angle=70.0)]),
    ("do a low bow, then a deep squat", [do("bow", angle=70.0), do("squat")]),
    ("raise your left arm slightly, then fully", [do("raise", side="left", angle=45.0), do("raise", side="left")]),
    ("raise both arms, then to the side", [do("raise", side="both"), do("raise", side="both", direction="side")]),
    ("walk 2 m as fast as possible", [do("walk", distance=2.0, pace=1.1)]),
    ("reach as high as possible", [do("reach", direction="up")]),
    ("move your right hand to shoulder height", [do("raise", side="right", angle=90.0)]),
    ("bow and clap, then do the whole thing again", [do("bow"), do("clap")] * 2),
    ("push the box a bit", [do("push", object="box", distance=0.2)]),
    ("raise your right arm up to shoulder height", [do("raise", side="right", angle=90.0)]),
    ("lift both arms to the sides, shoulder high", [do("raise", side="both", direction="side", angle=90.0)]),
    (
        "pick up the box and hold it at waist height",
        [do("pick up", direction="up", object="box"), do("hold", object="box")],
    ),
    ("bow. wave and nod, then do it again", [do("bow")] + [do("wave"), do("nod")] * 2),
    # away from something, and out of it
    ("walk two metres away from the table", [do("turn", object="table"), TURN, do("walk", distance=2.0)]),
    ("walk to the chair, then move away from it", [do("walk", object="chair"), TURN, do("walk")]),
    ("touch the box and step back from it", [do("touch", object="box"), do("step", direction="backward")]),
    ("turn away from the door", [do("turn", object="door"), TURN]),
    ("throw the bottle in the trash", [do("place", object="bottle", at="bin")]),
    ("walk backward away from the wall", [do("turn", object="wall"), do("walk", direction="backward")]),
    (
        "put the cup on the table and step away",
        [do("place", object="cup", at="table"), do("step", direction="backward")],
    ),
    ("face away from the chair", [do("turn", object="chair"), TURN]),
    ("walk from the table to the chair", [do("walk", object=name) for name in ("table", "chair")]),
    # what is taken already, carried for steps, lowered, or stacked
    (
        "grab the box, lift it up and put it down",
        [do("pick up", object="box"), do("place", object="box", direction="down")],
    ),
    (
        "pick up the box, bow and lift it",
        [do("pick up", direction="up", object="box"), do("bow"), do("hold", object="box")],
    ),
    ("carry the box three steps forward", [do("pick up", object="box"), do("walk", direction="forward", count=3)]),
    ("lower the box to the floor", [do("place", object="box", at="floor")]),
    ("lift the box up to the table", [do("place", object="box", at="table")]),
    ("stack the two boxes", [do("place", object="other_box", at="box")]),
    ("take the cup and the ball to the table", [do("carry", object=o, at="table") for o in ("cup", "ball")]),
    # third person, continuous, and other ways of asking
    ("The person is walking two steps and waving.", [do("walk", count=2), do("wave")]),
    ("someone starts to dance, then she needs to bow", [do("dance"), do("bow")]),
    ("are you able to squat a bit and hold that for 3 seconds?", [do("squat", distance=0.12, seconds=3.0)]),
    ("wave for about five seconds, and after you bow, nod", [do("wave", seconds=5.0), do("bow"), do("nod")]),
    ("go 2 metres ahead and, when you arrive, wave", [do("walk", direction="forward", distance=2.0), do("wave")]),
    ("walk 1 m, nod, then walk 50 cm more", [do("walk", distance=1.0), do("nod"), do("walk", distance=0.5)]),
    ("rise ur right hand", [do("raise", side="right")]),
    ("stretch your arms out wide", [do("raise", side="both", direction="side")]),
    ("raise and lower your arms twice", [do("raise", side="both", count=2)]),
    (
        "raise your right hand, nod and bring your hands down",
        [do("raise", side="right"), do("nod"), do("lower", side="right")],
    ),
    ("take half a step back", [do("step", direction="backward", distance=0.2)]),
    ("sit down and stand up slowly", [do("sit", direction="down", pace=0.75)]),
    ("pick up the box and stand up straight", [do("pick up", direction="up", object="box"), do("stand")]),
    ("do a pirouette, then wait here for 2 s", [do("turn", angle=360.0), do("stand", seconds=2.0)]),
    # next to something that stands on something
    (
        "pick up the cup and put it on the table to the left of the bottle",
        [
            do("pick up", direction="up", object="cup"),
            do("walk", object="bottle", at="table"),
            do("place", object="cup", direction="left", at="bottle"),
        ],
    ),
    (
        "put the bottle on the table and the cup on the table next to the bottle",
        [do("place", object="bottle", at="table"), do("place", object="cup", direction="side", at="bottle")],
    ),
    (
        "put the cup on the table, pick it up and put it back",
        [
            do("place", object="cup", at="table"),
            do("pick up", direction="up", object="cup"),
            do("place", object="cup", at="table"),
        ],
    ),
    # misspelt
    ("wlak foward to teh tabel", [do("walk", object="table")]),
    ("wave with yuor rigth hand", [do("wave", side="right")]),
]

REFUSED: list[tuple[str, str]] = [
    ("walk to the table and repeat on the other side", "'walk' has no side"),
    ("kick alternately for ten seconds", "'alternately' takes a count"),
    ("take two back", "what to take back"),
    ("place your left hand on your right hip", "hip"),
    ("walk with your arms at your sides", "at your sides"),
    # negation and conditions
    ("stop walking", "walking"),
    ("stop waving", "waving"),
    ("wave, then stop waving", "waving"),
    ("do not walk", "not"),
    ("never turn around", "never"),
    ("wave until I say stop", "until"),
    ("walk if the way is free", "if"),
    ("wave or nod", "or"),
    ("walk instead of waving", "instead"),
    ("walk forward without walking", "'without walking' is not kept"),
    ("wave with your right hand, not with your right", "'not with your right'"),
    ("touch the box without turning", "'without turning'"),
    ("squat, but do not bend", "'do not bend'"),
    ("pick up the cup, but don't touch it", "'don't touch it'"),
    ("wave without raising your arm", "'without raising your arm'"),
    ("don't walk and wave", "not clear whether 'wave' after 'don't walk'"),
    ("don't wave", "'don't wave' says what is not to be done"),
    ("walk forward leaving one metre", "leaves no distance"),
    ("stay seated", "somebody who sits"),
    ("sit down and stay seated", "and a time"),
    ("kick the ball, two metres", "'kick' takes no distance"),
    ("wave and clap for three", "'for three'"),
    ("walk quickly and carefully to the table", "'carefully'"),
    ("turn to the table and back", "how far"),
    # signs and numbers
    ("walk zero metres", "0 metres"),
    ("walk forward -2 m", "-2"),
    ("walk forward −2 m", "2"),
    ("turn left -90 degrees", "-90"),
    ("walk 1,500 m", "1,500"),
    ("walk 2-3 metres", "2-3"),
    ("walk at 2 m/s", "m/s"),
    ("walk 5 km", "km"),
    ("wave in 3 seconds", "in"),
    ("bow 90 degrees", "90"),
    ("wave 3 times for 2 seconds", "times"),
    # manner and places
    ("walk like a robot", "like a robot"),
    ("sit on the floor", "floor"),
    ("touch the floor", "'reach down"),
    ("take another step", "another"),
    ("pick up the blue one", "'the blue one'"),
    ("sit on the table", "table"),
    ("stand on the chair", "chair"),
    ("squat down and stay there", "how long"),
    ("walk on the table", "on"),
    ("walk very slowly", "very"),
    ("turn the box", "box"),
    ("walk home", "home"),
    ("wave and nod at the same time", "same time"),
    ("walk at the same time", "same time"),
    ("carry the box onto the table", "onto"),
    ("walk to the table and touch them", "them"),
    ("walk in a square around the table", "in a square"),
    ("walk 90 degrees 5 seconds", "90 degrees 5 seconds"),
    ("walk in circles", "circles"),
    ("kick the robot", "robot"),
    ("wave again", "again"),
    # written once the grammar was done
    ("put your hands down", "down"),
    ("lower your arms", "lower"),
    ("take the red cup, walk to the blue cup and touch the cup", "Which cup"),
    ("put the ball into the box", "into the box"),
    ("raise your left arm and lower your right arm", "left and right"),
    ("walk two metres for 5 seconds", "2 metres and 5 seconds"),
    ("walk to the table for 5 seconds", "5"),
    ("pick up two balls", "balls"),
    ("put the cup down to the left", "next to the cup"),
    ("walk forward, then before you bow", "before"),
    ("move your arms", "your arms"),
    ("hands down", "nothing to put down"),
    ("come to me", "'come to me'"),
    ("wait for me", "say for how long"),
    ("reach for me", "for me"),
    ("put the cup in front of the bottle", "in front of the bottle"),
    ("put it next to the cup", "it"),
    ("put the cup to the left", "next to the cup"),
    ("look over your shoulder", "needs a side"),
    ("clap with the other hand", "left or right"),
    ("clap, then wave with the other hand", "the other hand"),
    ("hold the box above your head", "above your head"),
    ("lift the box overhead", "overhead"),
    ("walk towards me", "Nobody is in the room for 'walk towards me'"),
    ("walk with small steps", "small"),
    ("push the box back", "backward"),
    ("pull the box", "pull"),
    ("nod no", "no"),
    ("shake hands", "hands"),
    ("wave at the door", "'wave' takes no object ('door'):"),
    ("push the box with both feet", "both feet"),
    ("drop the ball", "'drop'"),
    ("cross the street", "street"),
    ("sidestep", "direction"),
    ("lift your left leg to the side", "side"),
    ("raise both legs", "both feet"),
    ("put your hands on your hips and hold them there", "them"),
    ("run forward", "run"),
    ("pick up the cup that is next to the bottle", "'that is next to the bottle' with 'pick up'"),
    ("walk to the door with it", "'with it' with 'walk'"),
    ("walk to the table while carrying the box to the chair", "carrying the box to the chair"),
    ("while walking", "walking"),
    ("walk while squatting", "squatting"),
    ("nod while waving", "waving"),
    ("walk forward while waving and nodding", "nodding"),
    ("walk forward while pointing at the chair", "chair"),
    ("kneel on the floor", "kneel"),
    ("walk 1.5.2 metres", "1.5.2"),
    ("walk on tiptoes", "tiptoes"),
    ("raise your left arm and right leg", "leg"),
    ("wave at the table", "table"),
    ("walk forward two metres no wait three metres", "no"),
    ("walk forward 2 metres, not 3", "not"),
    ("walk forward as far as the chair", "far"),
    ("hold the ball for five seconds then drop it", "drop"),
    # how high and how deep
    ("lift the box to shoulder height", "'to shoulder height'"),
    ("squat down half a metre", "up to 0.3"),
    ("raise your arm sideways 150 degrees", "up to 120"),
    ("put the ball on the left side of the basket", "'on the left side of the basket' with 'put'"),
    ("touch the left side of the table", "'of the table'"),
    ("take the cup with your right hand and put it down with your left", "held with the right hand, not the left"),
    ("not one hand", "'not one hand' names no action"),
    ("do it well and wave", "'well'"),
    ("wave at that's table", "'is'"),
    ("hold the box against your chest", "stays at waist height, not 'against your chest'"),
    ("lunge deeply", "'deeply'"),
    ("take out the cup", "'take the cup out of the basket'"),
    ("put the cup on the table next to the chair", "'next to the chair'"),
    ("look away from the table", "'away from the table'"),
    ("look behind you", "'look over your left shoulder'"),
    ("sit down slowly and get up quickly", "one pace"),
    ("get on the chair", "not said what is taken from the chair"),
    ("stack the red box and the blue box", "what is under what"),
    ("carry the box three steps towards the table", "takes no count"),
    ("do jumping jacks while holding the cup", "the cup is held meanwhile"),
    ("wave while holding the box", "the box is held meanwhile"),
    ("he can't walk", "can't"),
    ("walk as fast as the robot", "'as the robot'"),
    ("kneel down on one knee", "'lunge forward'"),
    ("throw the ball to me", "'kick the ball'"),
    # what would be read otherwise than it is meant
    ("lay the bottle down on its side on the table", "'on its side'"),
    ("push the chair under the table", "under the table"),
    ("touch the chairs", "which chairs"),
    ("walk between the table and the table", "two objects"),
    ("stand up from the chair", "does not sit on the chair"),
    ("nod, then lower your arms", "nothing to lower"),
    ("wave until you reach the table", "table"),
    ("put the cup in the bin next to the table", "next to the table"),
]


@pytest.mark.parametrize(("text", "actions"), MEANT, ids=lambda v: v if isinstance(v, str) else "")
def test_understood_as_meant(text, actions):
    assert parse(text) == tuple(actions)
    plan = plan_of(text)
    by_plan = [
        replace(a, seconds=None, pace=1.0) for a in Choreography(Reading(movements_of(plan), plan=plan)).movements
    ]
    assert by_plan == [replace(a, seconds=None, pace=1.0) for a in Choreography(Reading(tuple(actions))).movements]
    put_down = [a for a in by_plan if a == do("place", object=a.object, at="floor") and a not in actions]
    assert [a for a in by_plan if a not in put_down] == [replace(a, seconds=None, pace=1.0) for a in actions]


@pytest.mark.parametrize(("text", "named"), REFUSED)
def test_refused_with_the_words_named(text, named):
    with pytest.raises(BadInput) as caught:
        parse(text)
    message = str(caught.value)
    assert named in message.partition("it knows")[0]
    assert "\n" not in message


def test_what_is_not_done_is_refused_with_what_is_done_instead():
    for word, instead in NOT_DONE.items():
        with pytest.raises(BadInput, match=rf"'{word}'.*{re.escape(instead)}"):
            parse(f"walk forward, then {word}")
        for said in re.findall(r"'([^']+)'", instead):
            parse(
                f"take the box, walk {said} the table" if said.startswith("to the") else f"wave, take the box, {said}"
            )


def test_only_a_slip_of_a_finger_is_read_as_another_word():
    slips = {"wlak": "walk", "teh": "the", "tabel": "table"}
    assert read("wlak to teh tabel").notes == tuple(f"'{word}' was read as '{spelt}'" for word, spelt in slips.items())
    assert parse("walk forwarrd two meteres to the tawble") == parse("walk forward two metres to the table")
    for text in ("pick up the cable", "walk to the label", "wave zorp", "pick up the tablet", "walk to the stable"):
        with pytest.raises(BadInput):
            parse(text)


def test_a_plan_says_which_word_it_read_otherwise_than_it_is_written():
    plan = Choreography.of_instruction("wlak forward two metres").plan
    assert plan.note == "'wlak' was read as 'walk'"
    assert Plan.read(plan.data()) == plan
    assert "note" not in Choreography.of_instruction("walk forward two metres").plan.data()


def test_a_plan_says_what_is_done_again_where_it_could_be_less():
    note = "'do it again' was read as the whole sentence again"
    assert read("wave. nod and bow, then do it again").notes == (note,)
    assert read("nod and bow, then again").notes == ("'again' was read as the last step again",)
    assert not read("wave, then do it again").notes


def test_a_plan_says_how_often_repeated_actions_are_done_in_all():
    assert read("bow, clap and repeat this three times").notes == (
        "'repeat this three times' was read as three times in all",
    )


def test_an_object_is_put_next_to_another_where_that_stands():
    scene = Scene.read(
        {
            "objects": [
                {"id": "table", "category": "table", "pos": [1.0, 0.0, 0.0]},
                {"id": "cup", "category": "cup", "pos": [0.8, 0.2, 0.74]},
                {"id": "bottle", "category": "bottle", "pos": [0.8, -0.2, 0.74]},
                {"id": "ball", "category": "ball", "pos": [0.0, -1.0, 0.11]},
            ]
        }
    )
    put = do("place", object="cup", direction="side", at="bottle")
    for text in ("put the cup on the table next to the bottle", "put the cup next to the bottle on the table"):
        assert parse(text, scene) == (put,)
    with pytest.raises(BadInput, match="'next to the ball'"):
        parse("put the cup on the table next to the ball", scene)


def test_a_description_says_every_amount():
    for kind, takes in ((kind, KINDS[kind].takes) for kind in KINDS):
        obj = "box" if "object" in takes and kind != "walk" else None
        for name, value in (("count", 7), ("distance", 0.27), ("angle", 23.0), ("seconds", 9.0)):
            if name in takes:
                movement = do(kind, object=obj, direction="left" if kind == "twist" else None, **{name: value})
                assert f"{value:g}" in describe(movement)


def test_where_an_alternative_is_said_the_list_of_all_movements_is_not():
    for text in ("pick up the piano", "walk to a window and wave"):
        with pytest.raises(BadInput, match="the objects that it knows are a table, chair") as caught:
            parse(text)
        assert "lift a knee" not in str(caught.value)
    for text, listed in (("hug me", False), ("hug me and juggle", True), ("climb", True)):
        with pytest.raises(BadInput) as caught:
            parse(text)
        assert ("lift a knee" in str(caught.value)) == listed


def test_no_word_is_left_over():
    """A word that no action can use is named, wherever in an understood sentence it stands."""
    for text, _ in MEANT:
        words = text.split()
        for k in range(len(words) + 1):
            try:  # before a noun it says what that is like, and a note names it
                said = " ".join(read(" ".join([*words[:k], "zorp", *words[k:]])).notes)
            except BadInput as error:
                said = str(error)
            assert re.search(r"'(?:\w+ )*zorp", said)


def test_any_words_are_read_or_refused():
    """Sentences with words left out, added and exchanged raise nothing but `BadInput`."""
    rng = np.random.default_rng(0)
    words = sorted({word for text, _ in MEANT for word in text.split()} | {"that's", "were", "not", "one"})
    for _ in range(300):
        said = MEANT[rng.integers(len(MEANT))][0].split()
        for _ in range(rng.integers(1, 4)):
            k = int(rng.integers(len(said) + 1))
            said[k : k + int(rng.integers(2))] = rng.choice(words, size=int(rng.integers(3))).tolist()
        with suppress(BadInput):
            read(" ".join(said))


def test_an_action_that_no_plan_has_room_for_is_refused():
    with pytest.raises(BadInput, match="'walks forward 101 steps' is not valid at count"):
        plan_of("walk for a minute")
    assert parse("walk for a minute") == (do("walk", seconds=60.0),)


def test_two_objects_are_both():
    assert parse("pick up two bottles from the table") == parse("pick up both bottles from the table")


def test_what_something_is_like_is_said_not_to_be_used():
    reading = read("pick up the shiny bottle gracefully and put it on the old wooden table")
    assert reading.movements == parse("pick up the bottle and put it on the table")
    assert reading.notes == tuple(f"'{word}' was not used" for word in ("shiny", "gracefully", "old", "wooden"))
    for text in ("flip the bottle", "pick up the third cup", "pick up the piano", "walk shiny"):
        with pytest.raises(BadInput):
            read(text)


def _path(text):
    """Where the pelvis is from frame to frame, (T, 2) m."""
    return choreograph(parse(text), np.zeros(10)).transl[:, :2]


def test_a_gesture_on_the_chair_is_said_so_that_it_is_read_again():
    for kind in GESTURES_MEANWHILE:
        takes, directions = KINDS[kind].takes, sorted(KINDS[kind].directions)
        sides = ("left", "right", "both") if "side" in takes else (KINDS[kind].side if "hands on" in kind else None,)
        amounts = [{}, {"pace": 0.75}, *({name: 2} for name in ("count", "seconds") if name in takes)]
        for side, direction, amount in product(sides, (None, *directions), amounts):
            gesture = do(kind, side=side, direction=direction, **amount)
            try:
                check(gesture)
            except BadInput:
                continue
            assert gesture_of(instruction_of(gesture)) == gesture


def test_a_circle_is_a_circle():
    for side, sign in (("left", 1.0), ("right", -1.0)):
        path = _path(f"walk in a circle to the {side}")
        path = path - path[0]
        assert np.linalg.norm(path[-1]) < 0.15  # it ends where it began
        assert np.ptp(path[:, 0]) == pytest.approx(1.8, abs=0.2)
        assert np.ptp(path[:, 1]) == pytest.approx(1.8, abs=0.2)
        assert sign * path[:, 1].mean() > 0.5


@pytest.mark.parametrize(("side", "sign"), [("left", 1.0), ("right", -1.0)])
def test_beside_an_object_is_on_the_side_that_was_said(side, sign):
    score = Choreography.of_instruction(f"walk to the {side} of the table").score
    across = sign * (score.pose - score.objects["table"].pose[[0, 1, 3]])[:2]
    assert abs(across[0]) < 0.05
    assert across[1] == pytest.approx(score.objects["table"].size[1] / 2 + 0.36, abs=0.05)


def test_back_at_the_start():
    for text in (
        "walk forward one metre, turn left 90 degrees, walk one metre, then walk back to the start",
        "walk forward two metres, turn around and walk back",
        "walk to the table and back",
    ):
        path = _path(text)
        assert np.linalg.norm(path - path[0], axis=1).max() > 0.9
        assert np.linalg.norm(path[-1] - path[0]) < 0.15


def test_a_gesture_meanwhile_leaves_the_feet_as_they_are():
    alone, waving = (
        Choreography.of_instruction(f"walk forward two metres{more}").perform(np.zeros(10))[0]
        for more in ("", " while waving")
    )
    n = min(len(alone), len(waving))
    assert np.abs(alone.transl[:n] - waving.transl[:n])[:, :2].max() < 0.08  # the arm shifts the centre of mass
    assert np.abs(alone.contacts[:n] - waving.contacts[:n]).max() == 0.0
    raised = np.linalg.norm(alone.body_pose[:n] - waving.body_pose[:n], axis=1)
    assert raised[n // 2] > 1.0
    assert len(waving) - len(alone) < 30


def test_hands_that_hold_something_make_no_gesture():
    with pytest.raises(BadInput, match="hold the bottle"):
        Choreography.of_instruction("pick up the bottle, then walk forward while waving")


def test_a_walk_for_seconds_takes_as_many_steps_as_fit():
    for text in ("walk forward for 6 seconds", "slowly walk backward for 6 seconds", "step left for 6 seconds"):
        (walk,) = plan_of(text).actions
        assert walk.seconds == pytest.approx(6.0, abs=0.7)
        assert walk.count > 2
    (walk,) = plan_of("walk for 6 seconds while waving").actions
    assert walk.count > 2
    assert walk.meanwhile == "waving"


def test_a_colour_is_that_of_the_object():
    scene = Choreography.of_instruction("put the red cup into the blue basket").scene
    colors = {obj.id: (obj.category, obj.color) for obj in scene.objects}
    assert colors["red_cup"] == ("cup", COLORS["red"])
    assert colors["blue_basket"] == ("basket", COLORS["blue"])


def test_an_adjective_in_a_plan_that_no_object_can_have_is_refused():
    plan = plan_of("walk to the red table")
    named = plan.actions[0].model_copy(update={"objects": ("wooden table",)})
    movements = movements_of(plan.model_copy(update={"actions": (named,)}))
    with pytest.raises(BadInput, match="wooden_table"):
        Choreography(Reading(movements))


def test_marching_in_place_stays_in_place():
    path = _path("march in place for 4 seconds")
    assert np.linalg.norm(path - path[0], axis=1).max() < 0.25


ROOT = Path(__file__).resolve().parents[3]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


@pytest.mark.skipif(not PAGES[0].is_file(), reason="the README is not beside these packages")
def test_the_sentences_of_the_documentation_are_understood():
    text = "\n".join(page.read_text() for page in PAGES)
    sentences = re.findall(r'exoactor (?:run|send|plan|generate) "([^"]+)"', text)
    sentences += re.findall(r'TASK="([^"]+)"', text)
    part = text.partition("The `rules` planner and the mannequin")[2].partition("## Prompt")[0]
    good, _, refused = part.partition("is refused:")
    sentences += [s for s in re.findall(r'"([^"]+)"', " ".join(good.split())) if len(s.split()) > 2]
    assert len(sentences) > 20
    for sentence in dict.fromkeys(sentences):
        choreograph(parse(sentence), np.zeros(10))
    for sentence in re.findall(r'"([^"]+)"', " ".join(refused.split())):
        with pytest.raises(BadInput):
            parse(sentence)
