"""A finished run watched over time: are new texts like those that it was measured on?"""
