"""Running a person's program: its text, its execution, its surroundings, and every sub-expression watched."""
