"""The translators that the authors published, and where."""

NAMES = (
    "apple2orange",
    "orange2apple",
    "summer2winter_yosemite",
    "winter2summer_yosemite",
    "horse2zebra",
    "zebra2horse",
    "monet2photo",
    "style_monet",
    "style_cezanne",
    "style_ukiyoe",
    "style_vangogh",
    "sat2map",
    "map2sat",
    "cityscapes_photo2label",
    "cityscapes_label2photo",
    "facades_photo2label",
    "facades_label2photo",
    "iphone2dslr_flower",
)
# The authors' scripts ask this server without https, which is not done here by itself. No sums of
# these files are published.
SOURCE = "https://efrosgans.eecs.berkeley.edu/cyclegan/pretrained_models"
