%% @doc What several modules of tests begin with.
-module(primer_testing).

-export([each/1, member/0]).

%% Seconds that only a failing test takes.
-define(LIMIT, 120).

%% Each function as a test of its name, in a process of its own: what it leaves behind goes with that.
each(Tests) -> [{timeout, ?LIMIT, {name(Test), {spawn, Test}}} || Test <- Tests].

name(Test) ->
    {name, Name} = erlang:fun_info(Test, name),
    atom_to_list(Name).

%% A member in memory, without a socket.
member() ->
    {ok, Member} = primer:open(),
    Member.
