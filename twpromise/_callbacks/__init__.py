"""Promises from functions with callbacks, and callbacks for promises."""
