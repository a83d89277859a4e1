"""Figures of inversions and of leakage from plain arrays: PNG and SVG with Matplotlib, GIF with Pillow.

    grid = reconstruction_grid(class_means, {"v1": (v1.images, v1.classes), "v2, counts": (v2.images, v2.classes)})
    grid.save("out/grid")                                    # out/grid.png, out/grid.svg; grid.alt describes it
    event_animation(inversions.spikes, names).save("out/inversions.gif")

Colours are safe for colour-blind readers and are never the only carrier of information. Equal arrays give identical
files. Matplotlib and Pillow are imported only when a figure is drawn.
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
