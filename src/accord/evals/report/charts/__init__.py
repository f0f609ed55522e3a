"""Pictures of a report: SVG written by hand and coloured by the page's style sheet."""
