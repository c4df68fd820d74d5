"""The memory in the shapes that other libraries ask for. Each module needs its library; none is imported from here."""
