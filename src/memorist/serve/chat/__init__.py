"""A door that speaks OpenAI's protocol: a model behind it, the memory added on the way in and kept on the way out."""
