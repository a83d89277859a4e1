"""Substrate `lava`: Intel Lava's bit-accurate CPU simulator of Loihi 2, in a supervised process."""
