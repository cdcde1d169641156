"""How is a model played back on loopback: recorded, scripted, and with faults?"""
