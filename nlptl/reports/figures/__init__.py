"""The figures of a report, drawn by matplotlib (extra `plots`): colours, SVG for a page, SVG to keep."""
