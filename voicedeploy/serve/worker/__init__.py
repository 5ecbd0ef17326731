"""What runs in the bot's own interpreter: loads the bot, forks a process per call, and is that process.

Started as `BOT_PYTHON <this folder>`. Nothing of voicedeploy is installed in the bot's environment, so this
package imports only the standard library and what the bot itself brings (Pipecat, aiortc, onnxruntime), and
never another part of voicedeploy. docs/decisions/0003 says why.
"""
