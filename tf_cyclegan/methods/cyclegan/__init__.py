"""CycleGAN (Zhu, Park, Isola, Efros 2017, https://arxiv.org/abs/1703.10593)."""
