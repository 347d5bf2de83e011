"""AWS and Commvault on one machine: the emulator, the CommServe simulator and the demo."""
