"""Makes stimulus sets: 3D objects and faces in many views, controlled to the pixel."""
