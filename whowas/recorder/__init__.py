"""Records live clusters into a store, and says how that goes."""

from whowas.recorder.recording import Recorder, RecorderOptions
from whowas.recorder.vitals import StoreVitals, StreamVitals, Vitals

__all__ = ["Recorder", "RecorderOptions", "StoreVitals", "StreamVitals", "Vitals"]
