"""Bounds of everything a user can ask for; one place, no imports."""

PROMPT_CHARACTERS = 1_000
NUM_IMAGES = 64
NUM_INFERENCE_STEPS = (1, 150)
GUIDANCE_SCALE = (0.0, 30.0)
SIDE_PX = (64, 4_096)
SIDE_MULTIPLE_PX = 16
EDITED_SIDE_PX = (16, 8_192)
"""Side of a picture that is edited, and of what comes of it."""
SEED = (0, 2**63 - 1)
WEIGHT = (0.0, 2.0)
"""Weight of a reference or an adapter."""

NUM_REFERENCES = 4
PICTURE_PIXELS = 50_000_000
PICTURE_BYTES = 64 * 2**20
PICTURE_DECODE_S = 10.0
PICTURE_CHILD_START_S = 20.0
"""Allowed once more for the first picture, while the decoding child starts."""
PICTURE_DECODE_BYTES = 2**30
"""Address space that the decoding child may use."""

TABLE_BYTES = 2**30
TABLE_ROW_CHARACTERS = 2**20
TABLE_CELL_CHARACTERS = 2**15
TABLE_COLUMNS = 1_000

SEARCH_HITS = (1, 1_000)
BATCH_CANDIDATES = 8
BATCH_RETRIES = 3
