"""Records live clusters into a store, and says how that goes."""

from whowas.recorder.recording import PublishOptions, Recorder, RecorderOptions
from whowas.recorder.vitals import StoreVitals, Vitals, WatchVitals

__all__ = ["PublishOptions", "Recorder", "RecorderOptions", "StoreVitals", "Vitals", "WatchVitals"]
