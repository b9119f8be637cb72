"""Operations: the jobs that run without anybody asking."""
