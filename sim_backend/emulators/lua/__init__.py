"""The part of Lua that TSP scripts are written in."""
