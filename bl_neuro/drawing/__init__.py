"""Pictures of inversions and of leakage, from plain arrays: PNG and SVG by Matplotlib, GIF by Pillow.

    grid = reconstruction_grid(class_means, {"v1": (v1.images, v1.classes), "v2, counts": (v2.images, v2.classes)})
    grid.save("out/grid")                                    # out/grid.png, out/grid.svg; grid.alt says what it shows
    event_animation(inversions.spikes, names).save("out/inversions.gif")

Colours can be told apart by the colour-blind, and nothing is told by colour alone. Equal arrays give equal bytes.
Matplotlib and Pillow are imported when a picture is made, not before.
"""

from bl_neuro.drawing.animation import Animation, event_animation
from bl_neuro.drawing.contact_sheet import contact_sheet
from bl_neuro.drawing.courses import leakage_curves
from bl_neuro.drawing.grid import image_grid
from bl_neuro.drawing.picture import Picture
from bl_neuro.drawing.raster import spike_raster
from bl_neuro.drawing.reconstructions import reconstruction_grid
from bl_neuro.drawing.waterfall import attribution_waterfall

__all__ = [
    "Animation",
    "Picture",
    "attribution_waterfall",
    "contact_sheet",
    "event_animation",
    "image_grid",
    "leakage_curves",
    "reconstruction_grid",
    "spike_raster",
]
