"""Pictures of captures, maps, point spread functions, specimens and calibrations."""
