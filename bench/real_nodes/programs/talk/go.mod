module whowas/bench/talk

go 1.26.0
