"""What a notebook calls: the steps of the command line as functions, with tables for answers.

    space = dse.read_space({"blocks": [1, 2], "channels": [16, 32], "policy": ["P0", "P2"]})
    swept = dse.sweep(space, ["kws_ternary", "kws_int8"])      # a row a design and machine
    dse.frontier(swept, ["trained_parameters", "energy_pj"])
    dse.train(space.point({"channels": 32}), "speech", out="trained")
    study = dse.run_study("study.yaml")                            # searches, or goes on
    dse.frontier(study)
    dse.make_report(study, "report.html")

Columns carry their units in their names, as everywhere (`energy_pj`, `area_um2`). Every function is
a thin one over the rooms below, which are as public; `dse.__all__` lists what stays as it is.
"""
