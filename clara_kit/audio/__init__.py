"""Sound: samples, WAV files, resampling, voice activity, the offline voice and the ear that knows its lines.

Knows nothing of conversations. The heavy libraries are those of the extra `audio`.
"""
