"""The providers that come with voicedeploy: one module or folder each, of the same rank as a third party's."""
