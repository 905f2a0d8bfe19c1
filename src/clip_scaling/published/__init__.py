"""The published study: numbers, tables, figures' rows, claims and errata, all from data/published, without torch."""
