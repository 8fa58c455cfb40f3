"""Build and launch ProPD Studio. Hugging Face Spaces start this file."""

from app.runs import EngineRoom
from app.ui import build, launch

room = EngineRoom()
demo = build(room)

if __name__ == "__main__":
    room.open()
    launch(demo)
