"""Substrate `loihi`: a batched emulator, bit-exact with Lava's fixed-point simulator of Loihi 2. Needs no Lava."""
