"""Substrate `lava`: Intel Lava's CPU simulator of Loihi 2, bit-accurate fixed point, real and supervised."""
