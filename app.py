"""Build and launch ProPD Studio. Hugging Face Spaces start this file."""

import sys

if __name__ == "__main__":  # worker processes read this file too, and must not start a page
    from app.serving import serving
    from app.ui import build, launch
    from propd.errors import ProPDError

    try:
        asked = serving(sys.argv[1:])
    except ProPDError as error:
        print(error, file=sys.stderr)
        sys.exit(2)
    room = asked.room()
    demo = build(room)
    room.open()
    launch(demo, asked)
